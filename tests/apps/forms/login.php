<?php
require dirname(__FILE__) . '/inc.php';

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $username = isset($_POST['username']) ? $_POST['username'] : '';
    $password = isset($_POST['password']) ? $_POST['password'] : '';
    foreach ($staff as $uid => $one) {
        if ($one['username'] === $username && $one['password'] === $password) {
            session_regenerate_id(true);
            $_SESSION['uid'] = $uid;
            setcookie('uid', $uid, time() + 86400, '/');
            go('/home.php');
        }
    }
    go('/login.php?error=1');
}

page('登录', (isset($_GET['error']) ? '<p class="error">用户名或密码错误</p>' : '')
    . '<form method="post" action="/login.php">'
    . '<input name="username"><input type="password" name="password"><button>登录</button></form>');
