<?php
// The sample in PHP of the document of /1.0, as it stands there where it signs.
// What is changed: the form and the keys are read from the standard input, a JSON
// object a line, instead of from a browser; the format of date has the minutes
// where the document has the month (i, not m); HTTP_Request, which is no longer to
// be had, is a few functions below. Each line is answered by one with the
// parameters.
//
// With a URL and an encoding ("multipart" or "urlencoded"), the request is made,
// and the answer is the status and the body.
date_default_timezone_set("UTC");

function sign($input) {
    $_POST = $input["fields"];
    $udid = $input["udid"];
    $secret = $input["secret"];
    $identity = $input["identity"];

#
#   Resolve the additional parameters required by the API   
#
$params = array();
foreach($_POST as $key => $val) {
    $params[$key] = $val;
}
$params["identity"] = $identity;

$params["timestamp"] = strtotime(date("Y-m-d H:i:s"));
$params["udid"] = $udid;
ksort($params);

$str = "";
foreach($params as $pst) {
    $str = $str . $pst;
}
$str .= $secret;

$hash = md5($str);

$params["authtoken"] = $hash;

    return array_map("strval", $params);
}

function multipart($params, $boundary) {
    $body = "--$boundary\r\nContent-Disposition: form-data; name=\"image\"; filename=\"photo.jpg\"\r\n"
        . "Content-Type: application/octet-stream\r\n\r\n\xff\xd8\xff\x00\r\n\r\n";
    foreach ($params as $key => $val) {
        $body .= "--$boundary\r\nContent-Disposition: form-data; name=\"$key\"\r\n\r\n$val\r\n";
    }
    return $body . "--$boundary--\r\n";
}

function send($params, $url, $encoding) {
    if ($encoding == "multipart") {
        $boundary = "HTTP_Request_" . md5(uniqid("request"));
        $type = "multipart/form-data; boundary=$boundary";
        $content = multipart($params, $boundary);
    } else {
        $type = "application/x-www-form-urlencoded";
        $content = http_build_query($params);
    }
    $context = stream_context_create(["http" => [
        "method" => "POST", "header" => "Content-Type: $type\r\n", "content" => $content,
        "ignore_errors" => true, "timeout" => 60,
    ]]);
    $body = file_get_contents($url, false, $context);
    return ["status" => (int) explode(" ", $http_response_header[0])[1], "body" => $body];
}

while (($line = fgets(STDIN)) !== false) {
    $params = sign(json_decode($line, true, 8, JSON_THROW_ON_ERROR));
    $answer = ["fields" => $params];
    if ($argc > 2) {
        $answer += send($params, $argv[1], $argv[2]);
    }
    echo json_encode($answer, JSON_THROW_ON_ERROR), "\n";
}
