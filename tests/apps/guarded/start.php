<?php
/** Leads to the login page: login.php itself, twice around, or away. */
$to = array('once' => '/login.php', 'twice' => '/start.php?to=once', 'away' => 'http://elsewhere.example/login.php');
header('Location: ' . $to[$_GET['to']]);
