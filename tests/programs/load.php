<?php
$d = new PDO('sqlite::memory:'); $d->exec('create table t(a int, b text)');
for ($i = 0; $i < 5000; $i++) $d->exec("insert into t values($i, '".str_repeat('x', $i % 50)."')");
echo $d->query('select count(*), sum(length(b)) from t')->fetch(PDO::FETCH_NUM)[1], "\n";
$x = new SimpleXMLElement('<r>'.str_repeat('<i a="1">t</i>', 3000).'</r>'); echo count($x->i), "\n";
$doc = new DOMDocument(); $doc->loadXML($x->asXML()); echo $doc->getElementsByTagName('i')->length, "\n";
echo mb_strtoupper(str_repeat('äöü', 1000)) === str_repeat('ÄÖÜ', 1000) ? "mb\n" : "no\n";
echo json_encode(json_decode(json_encode(range(1, 5000))), 0) === json_encode(range(1,5000)) ? "json\n" : "no\n";
$c = collator_create('de_DE'); $a = ['z','ä','a']; $c->sort($a); echo implode($a), "\n";
echo preg_match_all('/(\d+)7/', implode(' ', range(1, 20000))), "\n"; echo strlen(serialize(unserialize(serialize($a)))), "\n";
$ch = curl_init('file://'.__FILE__); curl_setopt($ch, CURLOPT_RETURNTRANSFER, 1); echo strlen(curl_exec($ch)) > 100 ? "curl\n" : "no\n";
