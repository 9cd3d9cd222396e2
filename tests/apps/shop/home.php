<?php
require 'cart.php';
