<?php
/** 用户资料 */

function action_get()
{
    $user = need_login();
    output(1, 'ok', array(
        'uid' => $user['uid'],
        'name' => isset($_SESSION['nickname']) ? $_SESSION['nickname'] : $user['name'],
    ));
}

function action_save()
{
    need_login();
    $name = post('name');
    if ($name === '') {
        output(0, '昵称不能为空');
    }
    $_SESSION['nickname'] = $name;
    output(1, '保存成功');
}
