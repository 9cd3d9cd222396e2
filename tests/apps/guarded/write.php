<?php
require 'inc.php';
$right = isset($_POST['csrf']) && $_POST['csrf'] === $_COOKIE['csrf'];
json(array('code' => $right ? 1 : 0, 'text' => isset($_POST['text']) ? $_POST['text'] : null));
