# Redis.pm, as Debian packages it.
use strict;
use warnings;
use Redis;

$| = 1;
$SIG{PIPE} = 'IGNORE';    # writing to the node that was restarted
my ($host, $port, $auth_port) = @ENV{qw(RESPRAM_HOST RESPRAM_PORT RESPRAM_AUTH_PORT)};

sub shown { join ' ', map { defined $_ ? substr($_, 0, 100) : 'undef' } @_ }

sub same {
    my ($got, $expected) = @_;
    my $equal = defined $got ? defined $expected && $got eq $expected : !defined $expected;
    die 'expected=' . shown($expected) . ' got=' . shown($got) . "\n" unless $equal;
}

sub between {
    my ($got, $low, $high) = @_;
    die "expected=$low..$high got=" . shown($got) . "\n" unless $got > $low && $got <= $high;
}

sub refused {
    my ($call, $words) = @_;
    my $got = eval { $call->() };
    die "expected=an error with $words got=" . shown($got) . "\n" unless $@;
    die "expected=$words got=$@\n" unless index($@, $words) >= 0;
}

sub check {
    my ($name, $call) = @_;
    my $passed = eval { $call->(); 1 };
    my $said = $@ || '';
    $said =~ s/\s+/ /g;
    $said = "expected=no error got=$said" if $said !~ /^expected=/;
    print $passed ? "ok $name\n" : "fail $name $said\n";
}

sub connected { Redis->new(server => "$host:" . (shift // $port), encoding => undef, reconnect => 0, @_) }

print "version $Redis::VERSION\n";
my $node = Redis->new(server => "$host:$port", encoding => undef, reconnect => 5, every => 20_000);
check('connect', sub { same($node->ping, 'PONG') });
check('resp2', sub { my %hello = @{ $node->__std_cmd('hello', 2) }; same($hello{proto}, 2) });
print "skip resp3 this client speaks RESP2 only\n";
for (['set-ex', 'EX', 60], ['set-px', 'PX', 60_000], ['set-exat', 'EXAT', time + 60],
    ['set-pxat', 'PXAT', (time + 60) * 1000]) {
    my ($name, @option) = @$_;
    check($name, sub { same($node->set($name, 'v', @option), 'OK'); between($node->pttl($name), 50_000, 61_000) });
}
check('set-keepttl', sub {
    $node->setex('kept', 60, 'a');
    same($node->set('kept', 'b', 'KEEPTTL'), 'OK');
    same($node->get('kept'), 'b');
    between($node->ttl('kept'), 50, 60);
});
check('default-ttl', sub { $node->set('bare', 'v'); between($node->ttl('bare'), 0, 1e12) });
check('get', sub { same($node->get('set-ex'), 'v') });
check('get-missing', sub { same(scalar $node->get('missing'), undef) });
check('mget', sub { same(join(',', map { $_ // 'undef' } $node->mget('set-ex', 'missing', 'set-px')), 'v,undef,v') });
check('set-nx', sub {
    same($node->set('once', 'a', 'EX', 60, 'NX'), 'OK');
    same(scalar $node->set('once', 'b', 'EX', 60, 'NX'), undef);
    same($node->get('once'), 'a');
});
check('expire', sub { $node->setex('short', 600, 'v'); same($node->expire('short', 100), 1);
    between($node->ttl('short'), 95, 100) });
check('ttl', sub { same($node->ttl('missing'), -2); between($node->ttl('set-ex'), 50, 60) });
check('incr', sub { same($node->incr('n') + $node->incrby('n', 5), 7); same($node->incrbyfloat('f', 1.5), '1.5') });
check('scan', sub {
    $node->setex("scan:$_", 60, 'v') for 1 .. 300;
    my ($cursor, %seen) = (0);
    do {
        ($cursor, my $keys) = $node->scan($cursor, MATCH => 'scan:*', COUNT => 17);
        $seen{$_} = 1 for @$keys;
    } while ($cursor);
    same(scalar keys %seen, 300);
});
check('pipeline', sub {
    my @got;
    for my $number (1 .. 200) {
        $node->setex("pipe:$number", 60, $number, sub { });
        $node->get("pipe:$number", sub { push @got, $_[0] });
    }
    $node->wait_all_responses;
    same(join(',', @got), join(',', 1 .. 200));
});
check('multi', sub { $node->multi; $node->setex('m', 60, 1); $node->incr('m'); same(join(',', $node->exec), 'OK,2') });
check('watch', sub {
    my $mine = connected();
    $mine->watch('watched');
    $node->setex('watched', 60, '2');
    $mine->multi;
    $mine->setex('watched', 60, '3');
    same(scalar $mine->exec, undef);
    same($node->get('watched'), '2');
});

sub heard {
    my ($channel, $act) = @_;
    my ($listener, $got) = (connected());
    $listener->psubscribe($channel, sub { $got = $_[0] });
    $act->();
    $listener->wait_for_messages(5);
    return $got;
}
check('publish-subscribe', sub { same(heard('ne*', sub { same($node->publish('news', 'one'), 1) }), 'one') });
check('expired-event', sub {
    same(heard('__keyevent@0__:expired', sub { $node->psetex('brief', 80, 'v') }), 'brief');
    same(scalar $node->get('brief'), undef);
});
check('binary', sub { my $bytes = pack('C*', reverse 0 .. 255); $node->setex($bytes, 60, $bytes);
    same($node->get($bytes) eq $bytes, 1) });
check('mebibyte', sub {
    my $bytes = "0123456789abcde\0" x (1 << 16);
    $node->setex('large', 60, $bytes);
    same($node->strlen('large'), 1 << 20);
    same($node->get('large') eq $bytes, 1);
});
check('auth', sub { same(connected($auth_port, password => $ENV{RESPRAM_PASSWORD})->ping, 'PONG') });
check('auth-refused', sub { refused(sub { connected($auth_port, password => 'wrong') },
    'invalid username-password pair') });
check('select', sub {
    my $other = connected();
    $other->select(5);
    $other->setex('there', 60, 'v');
    same($other->get('there'), 'v');
    same(scalar $node->get('there'), undef);
    refused(sub { $other->select(99) }, 'DB index is out of range');
});
check('del-refused', sub {
    $node->setex('stays', 60, 'v');
    refused(sub { $node->del('stays') }, 'refused by design');
    refused(sub { $node->flushdb }, 'refused by design');
    same($node->get('stays'), 'v');
});
check('del-in-multi', sub {
    $node->multi;
    $node->setex('sibling', 60, 'v');
    $node->del('sibling');
    refused(sub { my @got = $node->exec }, 'refused by design');
    same($node->get('sibling'), 'v');
});
check('restart', sub {
    print "restart\n";
    chomp(my $line = <STDIN>);
    same($line, 'restarted');
    same($node->setex('after', 60, 'v'), 'OK');
    same($node->get('after'), 'v');
});
if (eval { require IO::Socket::SSL; 1 }) {
    IO::Socket::SSL::set_defaults(SSL_ca_file => $ENV{RESPRAM_TLS_CA});    # Redis.pm itself takes no authority
    check('tls', sub {
        my $tls = Redis->new(server => "$host:$ENV{RESPRAM_TLS_PORT}", ssl => 1, SSL_verify_mode => 1);
        same($tls->setex('tls', 60, 'v'), 'OK');
        same($tls->get('tls'), 'v');
    });
} else {
    print "skip tls it needs IO::Socket::SSL, which this machine lacks\n";
}
print "done\n";
