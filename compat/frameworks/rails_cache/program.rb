# Rails's Redis cache store (ActiveSupport), as Debian packages it.
require 'active_support'
require 'active_support/core_ext'
require 'active_support/cache/redis_cache_store'

$stdout.sync = true
URL = "redis://#{ENV.fetch('RESPRAM_HOST')}:#{ENV.fetch('RESPRAM_PORT')}"

class Difference < StandardError; end
class Refused < StandardError; end

def same(got, expected)
  raise Difference, "expected=#{expected.inspect[0, 100]} got=#{got.inspect[0, 100]}" unless got == expected
end

def between(got, low, high)
  raise Difference, "expected=#{low}..#{high} got=#{got}" unless got > low && got <= high
end

def check(name)
  yield
  puts "ok #{name}"
rescue Refused => e
  puts "limit #{name} #{e.message}"
rescue Difference => e
  puts "fail #{name} #{e.message}"
rescue StandardError => e
  puts "fail #{name} expected=no error got=#{e.class}: #{e.message.tr("\n", ' ')}"
end

def soon(within = 10)
  ending = Process.clock_gettime(Process::CLOCK_MONOTONIC) + within
  sleep 0.01 until (got = yield) || Process.clock_gettime(Process::CLOCK_MONOTONIC) > ending
  got
end

failures = []
handler = ->(method:, exception:, **) { failures << [method, exception.message] }
cache = ActiveSupport::Cache::RedisCacheStore.new(url: URL, namespace: 'app', expires_in: 60, error_handler: handler)
node = Redis.new(url: URL)

puts "version #{ActiveSupport::VERSION::STRING} with redis-rb #{Redis::VERSION}"
check('write-and-read') do
  same(cache.write('user', { name: 'ada', tags: %w[a b] }) ? true : false, true)
  same(cache.read('user'), { name: 'ada', tags: %w[a b] })
  same([cache.read('missing'), cache.exist?('user'), cache.exist?('missing')], [nil, true, false])
  between(node.pttl('app:user'), 50_000, 60_000)
end
check('expiry') do
  cache.write('brief', 'v', expires_in: 0.2)
  same(cache.read('brief'), 'v')
  same(soon { node.exists('app:brief').zero? }, true)
  same(cache.read('brief'), nil)
end
check('fetch') do
  calls = 0
  same(Array.new(3) { cache.fetch('made') { calls += 1 } }, [1, 1, 1])
  same(cache.fetch('made', force: true) { calls += 1 }, 2)
end
check('unless-exist') do
  same(cache.write('once', 'a', unless_exist: true), true)
  same(cache.write('once', 'b', unless_exist: true), false)
  same(cache.read('once'), 'a')
end
check('several') do
  cache.write_multi('one' => 1, 'two' => 2)
  same(cache.read_multi('one', 'missing', 'two'), { 'one' => 1, 'two' => 2 })
  same(cache.fetch_multi('one', 'three') { |name| name.upcase }, { 'one' => 1, 'three' => 'THREE' })
end
check('without-time-to-live') do
  bare = ActiveSupport::Cache::RedisCacheStore.new(url: URL, namespace: 'bare')
  bare.write_multi('one' => 1)
  same(bare.read('one'), 1)
  between(node.ttl('bare:one'), 0, 1 << 40)
end
check('race-condition-ttl') do
  cache.fetch('raced', expires_in: 30, race_condition_ttl: 5) { 1 }
  between(node.ttl('app:raced'), 300, 330)
end
check('large-and-compressed') do
  cache.write('large', 'text ' * 200_000, compress: true)
  same(cache.read('large').bytesize, 1_000_000)
end
check('counter') do
  same([cache.increment('n'), cache.increment('n', 5), cache.decrement('n', 2)], [1, 6, 4])
  same(cache.read('n', raw: true).to_i, 4)
end
check('counter-with-time-to-live') do
  cache.increment('window', 1, expires_in: 30)
  left = node.ttl('app:window')
  raise Difference, "expected=more than the 30 s got=#{left}" unless left > 30

  raise Refused, 'this version sets the time only where TTL answers -1, so a counter has the default one of ' \
                 'the node; later ones use EXPIRE NX'
end
check('no-error-before') { same(failures, []) }
{
  'delete' => -> { cache.delete('user') }, 'delete-matched' => -> { cache.delete_matched('on*') },
  'clear' => -> { cache.clear }, 'delete-multi' => -> { cache.delete_multi(%w[one two]) }
}.each do |name, act|
  check(name) do
    failures.clear
    begin
      act.call
    rescue Redis::CommandError => e
      raised = e.message
    end
    said = raised || failures.dig(0, 1)
    same([said.to_s.include?('refused by design'), cache.read('user').nil?, cache.read('one')], [true, false, 1])
    raise Refused, raised ? 'it raises, and the values stay' : 'reported to the error handler, and the values stay'
  end
end
puts 'done'
