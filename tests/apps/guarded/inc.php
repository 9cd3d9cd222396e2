<?php
/** An application that guards its forms: a login needs the page before it, a logout the key of its session. */
error_reporting(E_ALL & ~E_NOTICE);
ini_set('session.use_strict_mode', '1');
session_name('guarded');
session_start();

function fresh($name)
{
    $_SESSION[$name] = bin2hex(random_bytes(8));
    return $_SESSION[$name];
}

/** Good for one try, whatever comes of it. */
function spend($name, $given)
{
    $known = isset($_SESSION[$name]) ? $_SESSION[$name] : '';
    unset($_SESSION[$name]);
    return $known !== '' && $given === $known;
}

function passwords()
{
    return array('anna' => 'anna123', 'bruno' => 'bruno123');
}

function may_enter($user, $password)
{
    $all = passwords();
    return isset($all[$user]) && $all[$user] === $password;
}

function enter($user)
{
    session_regenerate_id(true);
    $_SESSION['user'] = $user;
    $_SESSION['key'] = bin2hex(random_bytes(8));
    setcookie('csrf', bin2hex(random_bytes(8)) . '=', 0, '/');
}

function json($value)
{
    header('Content-Type: application/json');
    echo json_encode($value);
}
