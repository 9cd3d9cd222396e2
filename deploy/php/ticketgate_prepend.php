<?php
/**
 * Refuses every request that did not come through Ticketgate. For PHP 5.4 to 8.4; needs ext-hash, which is always there.
 *
 *     auto_prepend_file = /etc/ticketgate/ticketgate_prepend.php
 *
 * The key is that of `forward.assertion_key`. It is looked for in TICKETGATE_ASSERTION_KEY, as an environment variable or as a
 * parameter of the server (`fastcgi_param`, `SetEnv`; php-fpm clears the environment unless `clear_env = no`), then in the file
 * that TICKETGATE_ASSERTION_KEY_FILE names. Without a key everything is refused. The command line is left alone.
 *
 * What was proved stands in $_SERVER['TICKETGATE_USER'] and $_SERVER['TICKETGATE_CLIENT'] afterwards; empty where nobody was.
 */
call_user_func(function () {
    if (PHP_SAPI === 'cli') {
        return;
    }

    /** Seconds that the clocks may differ and a request may wait for a worker. */
    $window = 300;

    // A request cannot set these: its headers all become HTTP_*.
    $setting = function ($name) {
        $value = getenv($name);
        return is_string($value) && $value !== '' ? $value : (isset($_SERVER[$name]) ? (string) $_SERVER[$name] : '');
    };
    $key = $setting('TICKETGATE_ASSERTION_KEY');
    $file = $setting('TICKETGATE_ASSERTION_KEY_FILE');
    if ($key === '' && $file !== '') {
        $key = rtrim((string) @file_get_contents($file), "\r\n");
    }

    $same = function ($one, $other) {
        if (function_exists('hash_equals')) {
            return hash_equals($one, $other);
        }
        $difference = strlen($one) ^ strlen($other);
        for ($i = 0; $i < strlen($one) && $i < strlen($other); $i++) {
            $difference |= ord($one[$i]) ^ ord($other[$i]);
        }
        return $difference === 0;
    };

    $given = isset($_SERVER['HTTP_X_TICKETGATE_ASSERTION']) ? $_SERVER['HTTP_X_TICKETGATE_ASSERTION'] : '';
    $shape = '/\At=([0-9]{1,12}),id=([^,]*),u=(.*),c=([^,]*),sig=([0-9a-f]{64})\z/s';
    $proved = false;
    if ($key === '') {
        error_log('ticketgate: no TICKETGATE_ASSERTION_KEY: every request is refused');
    } elseif (preg_match($shape, $given, $part)) {
        list(, $time, $id, $user, $client, $signature) = $part;
        $said = array('v1', $_SERVER['REQUEST_METHOD'], $_SERVER['REQUEST_URI'], $user, $client, $time, $id);
        $proved = $same(hash_hmac('sha256', implode("\n", $said), $key), $signature)
            && abs(time() - (int) $time) <= $window;
    }

    if (!$proved) {
        header((isset($_SERVER['SERVER_PROTOCOL']) ? $_SERVER['SERVER_PROTOCOL'] : 'HTTP/1.1') . ' 403 Forbidden');
        header('Content-Type: application/json; charset=utf-8');
        header('Cache-Control: no-store');
        echo '{"code":0,"msg":"not through the gate","data":[]}';
        exit(1);
    }
    $_SERVER['TICKETGATE_USER'] = $user;
    $_SERVER['TICKETGATE_CLIENT'] = $client;
});
