<?php
// A small site with a login: each path does what a page of it would.
ini_set('session.save_handler', 'redis');
ini_set('session.save_path', 'tcp://' . getenv('RESPRAM_HOST') . ':' . getenv('RESPRAM_PORT'));
ini_set('redis.session.locking_enabled', getenv('LOCKING'));
ini_set('redis.session.lock_retries', '50');
ini_set('redis.session.lock_wait_time', '20000');
session_start();
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/login') {
    session_regenerate_id(true);
    $_SESSION['user'] = 'ada';
} elseif ($path === '/logout') {
    $_SESSION = [];
    session_destroy();
} elseif ($path === '/count') {
    $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
}
echo ($_SESSION['user'] ?? 'nobody') . ' ' . ($_SESSION['count'] ?? 0);
