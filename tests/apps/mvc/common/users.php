<?php
/** 用户表（老系统里在 MySQL 的 t_user 中） */

function all_users()
{
    return array(
        7 => array('uid' => 7, 'username' => 'lilei', 'password' => md5('lilei123'), 'name' => '李雷'),
        8 => array('uid' => 8, 'username' => 'hanmeimei', 'password' => md5('hanmeimei123'), 'name' => '韩梅梅'),
    );
}

function find_user_by_id($uid)
{
    $users = all_users();
    return isset($users[$uid]) ? $users[$uid] : null;
}

function find_user($username, $password)
{
    foreach (all_users() as $user) {
        if ($user['username'] === $username && $user['password'] === md5($password)) {
            return $user;
        }
    }
    return null;
}
