# What redlock-rb 2.0 sends, through Debian's redis-rb: the gem itself is in no registry that is reached here. The three
# scripts are its own, to the byte (BSD licence, Leandro Moreira); lock, extend and unlock call them as its client does.
require 'digest'
require 'redis'
require 'securerandom'

UNLOCK = <<-eos
      if redis.call("get",KEYS[1]) == ARGV[1] then
        return redis.call("del",KEYS[1])
      else
        return 0
      end
    eos
LOCK = <<-eos
      if (redis.call("exists", KEYS[1]) == 0 and ARGV[3] == "yes") or redis.call("get", KEYS[1]) == ARGV[1] then
        return redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2])
      end
    eos
REMAINING = <<-eos
      return { redis.call("get", KEYS[1]), redis.call("pttl", KEYS[1]) }
    eos

$stdout.sync = true
$node = Redis.new(host: ENV['RESPRAM_HOST'], port: ENV['RESPRAM_PORT'].to_i)

def check(name)
  yield
  puts "ok #{name}"
rescue StandardError => error
  said = error.message
  said = "expected=no error got=#{error.class}: #{said}" unless said.start_with?('expected=')
  puts "fail #{name} #{said}".tr("\n", ' ')
end

def same(got, expected)
  raise "expected=#{expected.inspect} got=#{got.inspect}" unless got == expected
end

# As its client: the digest first, the texts only where the node does not know them.
def ask(script, resource, *words)
  $node.evalsha(Digest::SHA1.hexdigest(script), keys: [resource], argv: words)
rescue Redis::CommandError => error
  raise unless error.message.include?('NOSCRIPT')

  $unknown = true
  [UNLOCK, LOCK, REMAINING].each { |one| $node.script(:load, one) }
  $node.evalsha(Digest::SHA1.hexdigest(script), keys: [resource], argv: words)
end

def lock(resource, ttl, holder: SecureRandom.uuid, anew: 'yes')
  ask(LOCK, resource, holder, ttl, anew) && holder
end

def remaining(resource, holder)
  held, left = ask(REMAINING, resource)
  held == holder ? left : nil
end

holder = nil
puts 'version 2.0 (scripts)'
check('lock') do
  holder = lock('lot', 60_000)
  same([holder.nil?, $unknown], [false, true])
end
check('excludes') { same(lock('lot', 60_000), nil) }
check('remaining-time') { same([remaining('lot', holder).between?(50_000, 60_000), remaining('lot', 'another')],
  [true, nil]) }
check('extend') do
  same(lock('lot', 90_000, holder: holder), holder)
  same(remaining('lot', holder) > 60_000, true)
end
check('extend-only-if-held') { same(lock('other', 60_000, anew: 'no'), nil) }
check('no-unlock-of-others') { same([ask(UNLOCK, 'lot', 'another'), lock('lot', 60_000)], [0, nil]) }
check('unlock') { same(ask(UNLOCK, 'lot', holder), 1) }
check('free-at-once') do
  same([remaining('lot', holder), ask(REMAINING, 'lot')], [nil, [nil, -2]])
  holder = lock('lot', 60_000)
  same(holder.nil?, false)
end
check('expires') do
  lock('brief', 50)
  last = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 20
  sleep 0.02 until ask(REMAINING, 'brief') == [nil, -2] || Process.clock_gettime(Process::CLOCK_MONOTONIC) > last
  same(lock('brief', 60_000).nil?, false)
end
check('after-a-flush-of-scripts') do
  $unknown = false
  $node.script(:flush)
  same([ask(UNLOCK, 'lot', holder), $unknown], [1, true])
end
puts 'done'
