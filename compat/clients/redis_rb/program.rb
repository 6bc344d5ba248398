# redis-rb, as Debian packages it.
require 'redis'
require 'set'

$stdout.sync = true
HOST = ENV.fetch('RESPRAM_HOST')
PORT = ENV.fetch('RESPRAM_PORT').to_i
AUTH_PORT = ENV.fetch('RESPRAM_AUTH_PORT').to_i

class Difference < StandardError; end

def same(got, expected)
  raise Difference, "expected=#{expected.inspect[0, 100]} got=#{got.inspect[0, 100]}" unless got == expected
end

def between(got, low, high)
  raise Difference, "expected=#{low}..#{high} got=#{got}" unless got > low && got <= high
end

def refused(words)
  got = yield
rescue Redis::BaseError => e
  same([words, e.message.include?(words)], [words, true])
else
  raise Difference, "expected=an error with #{words} got=#{got.inspect}"
end

def check(name)
  yield
  puts "ok #{name}"
rescue Difference => e
  puts "fail #{name} #{e.message}"
rescue StandardError => e
  puts "fail #{name} expected=no error got=#{e.class}: #{e.message.tr("\n", ' ')}"
end

def connect(**more)
  Redis.new(host: HOST, port: PORT, timeout: 10, **more)
end

puts "version #{Redis::VERSION}"
node = connect
check('connect') { same(node.ping, 'PONG') }
check('resp2') { same(node.call('HELLO', '2').each_slice(2).to_h['proto'], 2) }
puts 'skip resp3 this version speaks RESP2 only'
{
  'set-ex' => { ex: 60 }, 'set-px' => { px: 60_000 }, 'set-exat' => { exat: Time.now.to_i + 60 },
  'set-pxat' => { pxat: (Time.now.to_f * 1000).to_i + 60_000 }
}.each do |name, options|
  check(name) do
    same(node.set(name, 'v', **options), 'OK')
    between(node.pttl(name), 50_000, 61_000)
  end
end
check('set-keepttl') do
  node.set('kept', 'a', ex: 60)
  same([node.set('kept', 'b', keepttl: true), node.get('kept')], %w[OK b])
  between(node.ttl('kept'), 50, 60)
end
check('default-ttl') do
  node.set('bare', 'v')
  between(node.ttl('bare'), 0, 1 << 60)
end
check('get') { same(node.get('set-ex'), 'v') }
check('get-missing') { same(node.get('missing'), nil) }
check('mget') { same(node.mget('set-ex', 'missing', 'set-px'), ['v', nil, 'v']) }
check('set-nx') { same([node.set('once', 'a', ex: 60, nx: true), node.set('once', 'b', ex: 60, nx: true),
  node.get('once')], [true, false, 'a']) }
check('expire') do
  node.setex('short', 600, 'v')
  same([node.expire('short', 100), node.pexpire('missing', 5)], [true, false])
  between(node.ttl('short'), 95, 100)
end
check('ttl') { same([node.ttl('missing'), node.ttl('set-ex') > 50], [-2, true]) }
check('incr') { same([node.incr('n'), node.incrby('n', 5), node.decr('n'), node.incrbyfloat('f', 1.5)],
  [1, 6, 5, 1.5]) }
check('scan') do
  300.times { |number| node.setex("scan:#{number}", 60, number) }
  same(node.scan_each(match: 'scan:*', count: 17).to_set.size, 300)
end
check('pipeline') do
  got = node.pipelined do |pipe|
    200.times { |number| pipe.setex("pipe:#{number}", 60, number) && pipe.get("pipe:#{number}") }
  end
  same(got, (0...200).flat_map { |number| ['OK', number.to_s] })
end
check('multi') { same(node.multi { |block| block.setex('m', 60, 1) && block.incr('m') }, ['OK', 2]) }
check('watch') do
  got = node.watch('watched') do
    connect.setex('watched', 60, '2')
    node.multi { |block| block.setex('watched', 60, '3') }
  end
  same([got, node.get('watched')], [nil, '2'])
end
listen = lambda do |channel, act|
  got = nil
  listener = connect
  listener.subscribe_with_timeout(5, channel) do |on|
    on.subscribe { act.call }
    on.message do |_, message|
      got = message
      listener.unsubscribe
    end
  end
  got
end
check('publish-subscribe') { same(listen.call('news', -> { same(node.publish('news', 'one'), 1) }), 'one') }
check('expired-event') do
  same(listen.call('__keyevent@0__:expired', -> { node.psetex('brief', 80, 'v') }), 'brief')
  same(node.get('brief'), nil)
end
check('binary') do
  bytes = (0..255).to_a.reverse.pack('C*')
  node.setex(bytes, 60, bytes)
  same(node.get(bytes).b == bytes, true)
end
check('mebibyte') do
  bytes = 'abcdefg' + "\0" * 9
  bytes *= 1 << 16
  node.setex('large', 60, bytes)
  same([node.strlen('large'), node.get('large').b == bytes.b], [1 << 20, true])
end
check('auth') { same(connect(port: AUTH_PORT, password: ENV.fetch('RESPRAM_PASSWORD')).ping, 'PONG') }
check('auth-refused') { refused('invalid username-password pair') { connect(port: AUTH_PORT, password: 'wrong').ping } }
check('select') do
  other = connect(db: 5)
  other.setex('there', 60, 'v')
  same([other.get('there'), node.get('there')], ['v', nil])
  refused('DB index is out of range') { connect(db: 99).ping }
end
check('del-refused') do
  node.setex('stays', 60, 'v')
  refused('refused by design') { node.del('stays') }
  refused('refused by design') { node.flushdb }
  same(node.get('stays'), 'v')
end
check('del-in-multi') do
  refused('refused by design') { node.multi { |block| block.setex('sibling', 60, 'v') && block.del('sibling') } }
  same(node.get('sibling'), 'v')
end
check('restart') do
  puts 'restart'
  same($stdin.gets.strip, 'restarted')
  same([node.setex('after', 60, 'v'), node.get('after')], %w[OK v])
end
check('tls') do
  other = connect(port: ENV.fetch('RESPRAM_TLS_PORT').to_i, ssl: true,
    ssl_params: { ca_file: ENV.fetch('RESPRAM_TLS_CA') })
  same([other.setex('tls', 60, 'v'), other.get('tls')], %w[OK v])
end
puts 'done'
