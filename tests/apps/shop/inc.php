<?php
// A shop in JSON: a cart that guests may fill, and a login that asks for what its captcha said.
session_name('SHOPSID');
session_start();

function say($code, $data) {
    header('Content-Type: application/json');
    $headers = ['user' => $_SERVER['HTTP_X_AUTH_USER_ID'] ?? null, 'authorization' => $_SERVER['HTTP_AUTHORIZATION'] ?? null];
    echo json_encode(['code' => $code, 'data' => $data + ['cookies' => array_keys($_COOKIE), 'headers' => $headers]]);
    exit;
}
