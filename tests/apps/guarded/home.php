<?php
require 'inc.php';
if (!isset($_SESSION['user'])) {
    header('Location: /login.php');
    exit;
}
echo "<p>{$_SESSION['user']}</p><a href='logout.php?key={$_SESSION['key']}'>Log out</a>";
