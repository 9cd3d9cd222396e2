<?php
/** 调试：看看收到了什么 */

function action_all()
{
    $headers = array();
    foreach ($_SERVER as $name => $value) {
        if (strpos($name, 'HTTP_') === 0) {
            $headers[$name] = $value;
        }
    }
    output(1, 'ok', array(
        'method' => $_SERVER['REQUEST_METHOD'],
        'uri' => $_SERVER['REQUEST_URI'],
        'get' => (object) $_GET,
        'post' => (object) $_POST,
        'cookie' => (object) $_COOKIE,
        'headers' => (object) $headers,
        'body' => md5(file_get_contents('php://input')),
    ));
}

/** 不需要登录的 */
function action_client()
{
    action_all();
}

/** 谁都可以看的，顺便发一个 cookie */
function action_open()
{
    setcookie('visitor', 'v1');
    action_all();
}
