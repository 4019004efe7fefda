"""asyncssh as an SFTP server: PORT HOST_KEY ROOT; user demo, password password."""
import asyncio
import sys

import asyncssh

port, host_key, root = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Login(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return username == "demo" and password == "password"


def files(channel):
    return asyncssh.SFTPServer(channel, chroot=root)


async def serve():
    await asyncssh.create_server(
        Login, "127.0.0.1", port, server_host_keys=[host_key], sftp_factory=files, allow_scp=False
    )
    await asyncio.Event().wait()


asyncio.run(serve())
