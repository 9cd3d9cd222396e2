<?php
require 'inc.php';
if (isset($_POST['item'])) {
    $_SESSION['cart'][] = $_POST['item'];
}
if (isset($_POST['name'])) {
    setcookie('uid', $_POST['name'], 0, '/');
}
say(1, ['cart' => $_SESSION['cart'] ?? [], 'name' => $_SESSION['name'] ?? null]);
