//! The demo's own world: an SFTP server, an API stand-in, and the sample project, compiled in.

pub mod api;
pub mod project;
pub mod sftp_server;
