#!/usr/bin/env python3
"""The common script: paramiko download -> csv + dict mapping -> requests.post in 500-record JSON arrays. e2e_stdlib.py SFTP_PORT REMOTE TARGET_URL"""
import csv, io, json, sys, tempfile, os
from datetime import datetime
import paramiko, requests
STATUS = {'N': 'new', 'P': 'paid', 'S': 'shipped', 'D': 'delivered', 'C': 'cancelled', 'R': 'returned'}
port, remote, url = sys.argv[1:4]
t = paramiko.Transport(('127.0.0.1', int(port)))
t.connect(username=os.environ['NF_USER'], pkey=paramiko.Ed25519Key.from_private_key_file(os.environ['NF_KEY']))
tmp = tempfile.NamedTemporaryFile(dir=os.environ.get('NF_TMP', '/dev/shm'), suffix='.csv', delete=False)
paramiko.SFTPClient.from_transport(t).get(remote, tmp.name)
t.close()
def cents(s):
    i, _, f = s.partition('.')
    return int(i) * 100 + int((f + '00')[:2])
http = requests.Session()
batch, sent, bad = [], 0, 0
def flush():
    global sent
    r = http.post(url, data=json.dumps(batch).encode(), headers={'content-type': 'application/json'}); r.raise_for_status()
    sent += len(batch); batch.clear()
with open(tmp.name, newline='', encoding='utf-8') as f, open(os.path.join(os.environ.get('NF_TMP','/dev/shm'), 'e2e.rej'), 'w') as rej:
    r = csv.DictReader(f); line = 2
    for d in r:
        at, line = line, r.line_num + 1
        if int(d['qty']) <= 0: rej.write(f'{at},qty_not_positive\n'); bad += 1; continue
        batch.append({
            'orderId': d['order_id'], 'customer': {'name': d['customer_name'].strip(), 'email': d['email']},
            'orderDate': datetime.strptime(d['order_date'], '%m/%d/%Y').date().isoformat(), 'amountCents': cents(d['amount']),
            'currency': d['currency'] or 'USD', 'status': STATUS.get(d['status_code'], 'unknown'), 'quantity': int(d['qty']),
            'itemSku': d['sku'], 'lineKey': d['order_id'] + '-' + d['sku'], 'country': d['country'].strip().upper(), 'notes': d['notes'], 'gift': d['gift'] == 'Y'})
        if len(batch) == 500: flush()
    if batch: flush()
os.unlink(tmp.name)
print(f'sent={sent} rejected={bad}')
