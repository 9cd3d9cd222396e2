<?php

/**
 * Reference client of Ticketgate: api_token, signatures, sealed tokens, URLs. One file for PHP 5.6 and newer.
 * Opening sealed tokens needs PHP 7.1 with the openssl extension: before that PHP has no AES-GCM.
 *
 *     $gate = new Ticketgate('ios', $client_secret, 'Asia/Shanghai');
 *     $login = post($gate->url('https://api.example/index.php?mod=user&ctl=auth&act=login', 'user/auth/login'), $form);
 *     $gate->login($login['data']);
 *     $info = get($gate->url('https://api.example/index.php?mod=user&ctl=info&act=get', 'user/info/get'));
 *
 * An endpoint is `module/controller/action`, each as it is sent. URLs must be escaped already: they are signed as they are.
 */
class Ticketgate
{
    /** Seconds that this computer's clock is behind the gate's (header Date, or X-Ticketgate-Time of a refused signature). */
    public $behind = 0;

    public $userId = '';

    /** The plain token, as it is sent. */
    public $userToken = '';

    private $clientId;
    private $clientSecret;
    private $zone;
    private $algorithm;

    /** $zone is the gate's `time.zone`; $algorithm that of api_token: md5 or hmac-sha256. */
    public function __construct($clientId, $clientSecret, $zone = 'UTC', $algorithm = 'md5')
    {
        $this->clientId = $clientId;
        $this->clientSecret = $clientSecret;
        $this->zone = new DateTimeZone($zone);
        $this->algorithm = $algorithm;
    }

    /** Takes up the `data` of a login's reply: from now on calls carry this user. */
    public function login(array $data)
    {
        $token = $data['user_token'];
        $this->userToken = strncmp($token, 'v1.', 3) === 0 ? $this->openToken($token) : $token;
        $this->userId = $data['user_id'];
    }

    /** The URL with the credentials for a call of the endpoint. */
    public function url($url, $endpoint)
    {
        $credentials = array('client_id' => $this->clientId, 'api_token' => $this->apiToken($endpoint));
        if ($this->userToken !== '') {
            $credentials += array('user_id' => $this->userId, 'user_token' => $this->userToken);
        }
        return self::with($url, $credentials);
    }

    /** The same, signed. $body is what will be sent, byte by byte. */
    public function signedUrl($method, $url, $endpoint, $body = '', $algorithm = 'hmac-sha256')
    {
        $timestamp = (string) $this->now();
        $nonce = bin2hex(openssl_random_pseudo_bytes(16));
        $url = self::with($this->url($url, $endpoint), array('timestamp' => $timestamp, 'nonce' => $nonce));
        list($path, $query) = self::pathAndQuery($url);
        if ($algorithm === 'md5') {
            $token = $this->userToken !== '' ? $this->userToken : $this->apiToken($endpoint);
            $sign = $this->signMd5($path, $query, $timestamp, $token);
        } else {
            $sign = $this->sign($method, $path, $query, $timestamp, $nonce, $this->userToken, $body);
        }
        return self::with($url, array('sign' => $sign));
    }

    /** api_token of an endpoint, for a date of the gate's zone, today's where none is given. */
    public function apiToken($endpoint, $date = null)
    {
        $parts = explode('/', $endpoint);
        if (count($parts) !== 3) {
            throw new InvalidArgumentException('an endpoint is module/controller/action, not ' . $endpoint);
        }
        $parts[] = $date === null ? $this->today() : $date;
        if ($this->algorithm === 'hmac-sha256') {
            return hash_hmac('sha256', implode("\n", $parts), $this->clientSecret);
        }
        return md5(implode('', $parts) . $this->clientSecret);
    }

    /** The signature by HMAC-SHA256. $userToken is empty where no user is logged in. */
    public function sign($method, $path, $query, $timestamp, $nonce, $userToken, $body)
    {
        $pairs = self::unsigned($query);
        sort($pairs, SORT_STRING);
        $lines = array($method, $path, implode('&', $pairs), $timestamp, $nonce, $userToken, hash('sha256', $body));
        return hash_hmac('sha256', implode("\n", $lines), $this->clientSecret);
    }

    /** The signature by the old recipe. $token is user_token, or api_token where no user is logged in. */
    public function signMd5($path, $query, $timestamp, $token)
    {
        $pairs = self::unsigned($query);
        $target = $pairs ? $path . '?' . implode('&', $pairs) : $path;
        return md5($target . $timestamp . $token . $this->clientSecret);
    }

    /** Opens a sealed user_token. */
    public function openToken($sealed)
    {
        if (PHP_VERSION_ID < 70100 || !function_exists('openssl_decrypt')) {
            throw new RuntimeException('opening sealed tokens needs PHP 7.1 with openssl');
        }
        $bytes = base64_decode(strtr(substr($sealed, 3), '-_', '+/'), true);
        if (strncmp($sealed, 'v1.', 3) !== 0 || $bytes === false || strlen($bytes) < 28) {
            throw new RuntimeException('this is no sealed token');
        }
        // HKDF-SHA256 (RFC 5869) without salt, one block.
        $extracted = hash_hmac('sha256', $this->clientSecret, str_repeat("\0", 32), true);
        $key = hash_hmac('sha256', "ticketgate user_token\x01", $extracted, true);
        $ciphertext = substr($bytes, 12, -16);
        $token = openssl_decrypt($ciphertext, 'aes-256-gcm', $key, OPENSSL_RAW_DATA, substr($bytes, 0, 12), substr($bytes, -16));
        if ($token === false) {
            throw new RuntimeException('the token was sealed under another secret, or changed');
        }
        return $token;
    }

    private function now()
    {
        return time() + $this->behind;
    }

    private function today()
    {
        $now = new DateTime('@' . $this->now());
        return $now->setTimezone($this->zone)->format('Y-m-d');
    }

    /** Adds parameters to a URL; a fragment is never sent. */
    private static function with($url, array $parameters)
    {
        $parts = explode('#', $url, 2);
        $separator = strpos($parts[0], '?') === false ? '?' : '&';
        return $parts[0] . $separator . http_build_query($parameters, '', '&', PHP_QUERY_RFC3986);
    }

    /** Path and query as they are sent. */
    private static function pathAndQuery($url)
    {
        $parts = explode('?', preg_replace('~^[a-z]+://[^/?]*~i', '', $url), 2);
        return array($parts[0] === '' ? '/' : $parts[0], isset($parts[1]) ? $parts[1] : '');
    }

    /** The pairs of a query, without the signature itself. */
    private static function unsigned($query)
    {
        $pairs = $query === '' ? array() : explode('&', $query);
        return array_values(array_filter($pairs, function ($pair) {
            return $pair !== 'sign' && strncmp($pair, 'sign=', 5) !== 0;
        }));
    }
}
