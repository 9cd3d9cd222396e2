<?php
require 'inc.php';
$key = isset($_POST['key']) ? $_POST['key'] : $_GET['key'];
if (isset($_SESSION['key']) && $key === $_SESSION['key']) {
    session_destroy();
    json(array('code' => 1));
} else {
    http_response_code(403);
    json(array('code' => 0));
}
