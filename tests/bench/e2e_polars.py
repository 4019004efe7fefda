#!/usr/bin/env python3
"""The careful script: asyncssh download -> polars mapping (streamed to NDJSON) -> httpx async, 4 connections, 500-record JSON arrays. e2e_polars.py SFTP_PORT REMOTE TARGET_URL [httpx|aiohttp]"""
import asyncio, os, subprocess, sys, asyncssh
port, remote, url = sys.argv[1:4]
lib = sys.argv[4] if len(sys.argv) > 4 else 'httpx'
src, out, rej = os.path.join(os.environ.get('NF_TMP','/dev/shm'), 'e2e.csv'), os.path.join(os.environ.get('NF_TMP','/dev/shm'), 'e2e.ndjson'), os.path.join(os.environ.get('NF_TMP','/dev/shm'), 'e2e.rej')
def batches():
    with open(out, 'rb') as f:
        while True:
            ls = []
            for l in f:
                ls.append(l.rstrip(b'\n'))
                if len(ls) == 500: break
            if not ls: return
            yield b'[' + b','.join(ls) + b']', len(ls)
async def main():
    async with asyncssh.connect('127.0.0.1', int(port), username=os.environ['NF_USER'], client_keys=[os.environ['NF_KEY']], known_hosts=None, config=None, encryption_algs=['aes128-gcm@openssh.com']) as c, c.start_sftp_client() as s:
        await s.get(remote, src)
    sys.argv = ['map_polars.py', src, out, rej]
    exec(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'map_polars.py')).read(), {})
    it = batches(); sent = 0
    if lib == 'httpx':
        import httpx
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=4), timeout=60) as h:
            async def w():
                nonlocal sent
                for b, n in it:
                    r = await h.post(url, content=b, headers={'content-type': 'application/json'}); r.raise_for_status(); sent += n
            await asyncio.gather(*[w() for _ in range(4)])
    else:
        import aiohttp
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=4)) as h:
            async def w():
                nonlocal sent
                for b, n in it:
                    async with h.post(url, data=b, headers={'content-type': 'application/json'}) as r: r.raise_for_status(); sent += n
            await asyncio.gather(*[w() for _ in range(4)])
    os.unlink(src); os.unlink(out)
    print(f'sent={sent}')
asyncio.run(main())
