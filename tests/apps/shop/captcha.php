<?php
require 'inc.php';
header('Cache-Control: public, max-age=600');
$_SESSION['captcha'] = bin2hex(random_bytes(3));
say(1, ['captcha' => $_SESSION['captcha']]);
