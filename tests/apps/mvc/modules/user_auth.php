<?php
/** 登录、退出、修改密码 */

function action_login()
{
    $user = find_user(post('username'), post('password'));
    session_start();
    if ($user === null) {
        $_SESSION['tries'] = isset($_SESSION['tries']) ? $_SESSION['tries'] + 1 : 1;
        output(0, '用户名或密码错误');
    }
    session_regenerate_id(true);
    $_SESSION['uid'] = $user['uid'];
    $_SESSION['nickname'] = $user['name'];
    output(1, '登录成功', array('uid' => $user['uid'], 'name' => $user['name']));
}

/** 旧版 App 的登录：自己发 token */
function action_login_v1()
{
    $user = find_user(post('username'), post('password'));
    if ($user === null) {
        output(0, '用户名或密码错误');
    }
    session_start();
    $_SESSION['uid'] = $user['uid'];
    output(1, '登录成功', array('uid' => $user['uid'], 'token' => md5(uniqid(mt_rand(), true))));
}

/** 登录成功但不返回 data */
function action_login_brief()
{
    $user = find_user(post('username'), post('password'));
    if ($user === null) {
        output(0, '用户名或密码错误');
    }
    session_start();
    $_SESSION['uid'] = $user['uid'];
    header('X-Uid: ' . $user['uid']);
    output(1, '登录成功');
}

/** 只销毁服务器上的 session，不清浏览器的 cookie */
function action_logout()
{
    session_start();
    session_destroy();
    output(1, '已退出');
}

/** 所有设备都退出 */
function action_logout_all()
{
    action_logout();
}

/** 定期更换 session id */
function action_renew()
{
    need_login();
    session_regenerate_id(true);
    output(1, 'ok');
}

function action_password()
{
    $user = need_login();
    if (md5(post('old')) !== $user['password']) {
        output(0, '原密码错误');
    }
    output(1, '密码已修改');
}
