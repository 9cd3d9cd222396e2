<?php

/*
 * Proves the client by the published vectors, and by a gate where one is given:
 *
 *     php test.php ../../tests/vectors.json [http://127.0.0.1:8080]
 */

require __DIR__ . '/Ticketgate.php';

function same($expected, $found, $of)
{
    if ($expected !== $found) {
        fwrite(STDERR, "$of\n  expected $expected\n  found    $found\n");
        exit(1);
    }
}

/** @return array{array, string} the reply's JSON and its X-Ticketgate-Reason */
function call($method, $url, $form = '')
{
    $options = array('method' => $method, 'content' => $form, 'ignore_errors' => true);
    $options['header'] = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close";
    $body = file_get_contents($url, false, stream_context_create(array('http' => $options)));
    $reason = preg_match('~^x-ticketgate-reason: (\w+)~im', implode("\n", $http_response_header), $found) ? $found[1] : '';
    return array(json_decode($body, true), $reason);
}

function vectors($file)
{
    $all = json_decode(file_get_contents($file), true);
    foreach ($all['client_token'] as $v) {
        $endpoint = "$v[module]/$v[controller]/$v[action]";
        foreach (array('md5', 'hmac-sha256') as $algorithm) {
            $client = new Ticketgate('id', $v['client_secret'], 'UTC', $algorithm);
            same($v[$algorithm], $client->apiToken($endpoint, $v['date']), "api_token $algorithm of $endpoint");
        }
    }
    foreach ($all['signature'] as $v) {
        $client = new Ticketgate('id', $v['client_secret']);
        $sign = $client->sign($v['method'], $v['path'], $v['query'], $v['timestamp'], $v['nonce'], $v['user_token'], $v['body']);
        same($v['hmac-sha256'], $sign, "signature hmac-sha256 of $v[nonce]");
        $token = $v['user_token'] === '' ? $v['api_token'] : $v['user_token'];
        same($v['md5'], $client->signMd5($v['path'], $v['query'], $v['timestamp'], $token), "signature md5 of $v[nonce]");
    }
    foreach ($all['sealed_token'] as $v) {
        $client = new Ticketgate('id', $v['client_secret']);
        same($v['user_token'], $client->openToken($v['sealed']), 'sealed token');
        foreach (array(new Ticketgate('id', 'other'), $client) as $i => $opener) {
            $sealed = $i ? substr($v['sealed'], 0, -2) . 'AA' : $v['sealed'];
            try {
                $opener->openToken($sealed);
                same('refused', 'opened', 'a token sealed otherwise');
            } catch (RuntimeException $expected) {
            }
        }
    }
}

function gate($base)
{
    $login = "$base/index.php?mod=user&ctl=auth&act=login";
    $info = "$base/index.php?mod=user&ctl=info&act=get";
    $client = new Ticketgate('ios', 's3cret');
    foreach (array('hmac-sha256', 'md5') as $algorithm) {
        $form = 'username=lilei&password=lilei123';
        $client->userToken = '';
        list($reply) = call('POST', $client->signedUrl('POST', $login, 'user/auth/login', $form, $algorithm), $form);
        same('v1.', substr($reply['data']['user_token'], 0, 3), 'a sealed login');

        $client->userId = $reply['data']['user_id'];
        $client->userToken = $reply['data']['user_token'];
        list(, $reason) = call('GET', $client->url($info, 'user/info/get'));
        same('user_refused', $reason, 'a token sent as it was handed out');

        $client->login($reply['data']);
        foreach (array($client->url($info, 'user/info/get'), $client->signedUrl('GET', $info, 'user/info/get', '', $algorithm)) as $url) {
            list($reply, $reason) = call('GET', $url);
            same('', $reason, 'a call with an opened token');
            same(7, $reply['data']['uid'], 'who is logged in');
        }
    }
}

vectors($argv[1]);
if (isset($argv[2])) {
    gate($argv[2]);
}
echo "ok\n";
