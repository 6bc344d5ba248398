<?php
// How a PHP program says what came of a check: the lines of compat/verdict.py.

const WAIT_S = 10.0;

class Difference extends Exception
{
}

/** Refused by design, and seen as such; the reason. */
class Refused extends Exception
{
}

function say(string ...$words): void
{
    echo trim(preg_replace('/\s+/', ' ', implode(' ', $words))), "\n";
}

function shown($value): string
{
    return substr(var_export($value, true), 0, 100);
}

function same($got, $expected): void
{
    if ($got !== $expected) {
        throw new Difference('expected=' . shown($expected) . ' got=' . shown($got));
    }
}

function between($got, int $low, int $high): void
{
    if (!is_int($got) || $got <= $low || $got > $high) {
        throw new Difference("expected=$low..$high got=" . shown($got));
    }
}

/** The message of what the call throws; empty when it throws nothing. */
function thrown(callable $call): string
{
    try {
        $call();
    } catch (Throwable $error) {
        return $error->getMessage();
    }
    return '';
}

function check(string $name, callable $call): void
{
    try {
        $call();
        say('ok', $name);
    } catch (Refused $reason) {
        say('limit', $name, $reason->getMessage());
    } catch (Difference $difference) {
        say('fail', $name, $difference->getMessage());
    } catch (Throwable $error) {
        say('fail', $name, 'expected=no error got=' . get_class($error) . ': ' . $error->getMessage());
    }
}

/** Whether it comes to be true within ten seconds. */
function soon(callable $fact): bool
{
    $end = microtime(true) + WAIT_S;
    while (!($got = $fact()) && microtime(true) < $end) {
        usleep(10_000);
    }
    return (bool) $got;
}
