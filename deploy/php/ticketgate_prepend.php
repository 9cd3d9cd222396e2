<?php

/*
 * Refuses every request that did not come through Ticketgate. For PHP 5.4 to 8.4, as an auto_prepend_file; README.md beside it
 * says how to switch it on, and what it does not do.
 *
 * The gate signs each request that it forwards (`forward.assertion_key`):
 *
 *     X-Ticketgate-Assertion: t=UNIX,id=REQUEST_ID,u=USER,c=CLIENT,sig=HEX
 *
 * with sig = HMAC-SHA256(key, "v1\n" METHOD "\n" target "\n" USER "\n" CLIENT "\n" UNIX "\n" REQUEST_ID). This file checks that, and
 * that the identity headers say the same. It changes nothing: no variable, no header, no setting of a request that it lets pass.
 *
 * Each setting is taken from the first of these that has it: a constant TICKETGATE_NAME, `ticketgate.name` in php.ini, an environment
 * variable TICKETGATE_NAME (fastcgi_param, SetEnv, env[] of a pool).
 *
 *     ASSERTION_KEY        the key, or…
 *     ASSERTION_KEY_FILE   …a file that holds it
 *     ASSERTION_WINDOW     how far clocks may differ, in seconds: 300
 *     USER_HEADER          forward.headers.user of the gate: X-Auth-User-Id
 *     CLIENT_HEADER        forward.headers.client: X-Auth-Client-Id
 *     EXEMPT               targets that pass without an assertion, for GET and HEAD, separated by blanks: `/ping.php /status?full=1`.
 *                          Each is compared with path and query exactly as sent. There are no patterns, because whoever may vary
 *                          anything can have many applications run another script.
 */
final class Ticketgate_Prepend
{
    public static function guard()
    {
        if (PHP_SAPI === 'cli' || PHP_SAPI === 'phpdbg' || self::isExempt()) {
            return;
        }
        $flaw = self::flaw();
        if ($flaw === '') {
            return;
        }
        error_log('ticketgate_prepend: refused, ' . $flaw);
        http_response_code(403);
        header('Content-Type: application/json; charset=utf-8');
        header('Cache-Control: no-store');
        exit('{"code":0,"msg":"This request did not come through the gate.","data":[]}');
    }

    /** What is wrong with the request, for the log; empty where nothing is. */
    private static function flaw()
    {
        $key = self::key();
        if ($key === '') {
            return 'no assertion key is set';
        }
        $assertion = self::server('HTTP_X_TICKETGATE_ASSERTION');
        if ($assertion === '') {
            return 'there is no assertion';
        }
        if (!preg_match('/^t=(\d{1,12}),id=([^,]*),u=(.*),c=(.*),sig=([0-9a-f]{64})$/Ds', $assertion, $found)) {
            return 'the assertion cannot be read';
        }
        list(, $time, $id, $user, $client, $signature) = $found;
        $said = array('v1', self::server('REQUEST_METHOD'), self::server('REQUEST_URI'), $user, $client, $time, $id);
        if (!self::same(hash_hmac('sha256', implode("\n", $said), $key), $signature)) {
            return 'the assertion was made for another request, or under another key';
        }
        if (abs(time() - (int) $time) > (int) self::setting('ASSERTION_WINDOW', '300')) {
            return 'the assertion is of another time';
        }
        if (self::header('USER_HEADER', 'X-Auth-User-Id') !== trim($user)
            || self::header('CLIENT_HEADER', 'X-Auth-Client-Id') !== trim($client)) {
            return 'the identity headers do not say what the assertion says';
        }
        return '';
    }

    private static function isExempt()
    {
        $reads = in_array(self::server('REQUEST_METHOD'), array('GET', 'HEAD'), true);
        $exempt = preg_split('/\s+/', self::setting('EXEMPT', ''), -1, PREG_SPLIT_NO_EMPTY);
        return $reads && in_array(self::server('REQUEST_URI'), $exempt, true);
    }

    private static function key()
    {
        $file = self::setting('ASSERTION_KEY_FILE', '');
        if ($file === '') {
            return self::setting('ASSERTION_KEY', '');
        }
        $text = is_readable($file) ? (string) file_get_contents($file) : '';
        // Editors end a file with a newline; the gate leaves one out as well.
        return preg_replace('/\r?\n$/D', '', $text);
    }

    private static function setting($name, $default)
    {
        if (defined('TICKETGATE_' . $name)) {
            return (string) constant('TICKETGATE_' . $name);
        }
        foreach (array(get_cfg_var('ticketgate.' . strtolower($name)), getenv('TICKETGATE_' . $name)) as $value) {
            if (is_string($value) && $value !== '') {
                return $value;
            }
        }
        return $default;
    }

    /** The value of the header that a setting names. */
    private static function header($setting, $default)
    {
        return trim(self::server('HTTP_' . strtoupper(strtr(self::setting($setting, $default), '-', '_'))));
    }

    private static function server($name)
    {
        // Some servers let a client make an array of a header.
        return isset($_SERVER[$name]) && is_string($_SERVER[$name]) ? $_SERVER[$name] : '';
    }

    /** Whether two texts are equal, in a time that does not tell where they differ. */
    private static function same($expected, $given)
    {
        if (function_exists('hash_equals')) {
            return hash_equals($expected, $given);
        }
        return self::sameBefore56($expected, $given);
    }

    private static function sameBefore56($expected, $given)
    {
        if (strlen($expected) !== strlen($given)) {
            return false;
        }
        $difference = 0;
        for ($at = 0; $at < strlen($expected); $at++) {
            $difference |= ord($expected[$at]) ^ ord($given[$at]);
        }
        return $difference === 0;
    }
}

Ticketgate_Prepend::guard();
