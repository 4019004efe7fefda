//! The world: each adapter implements a port, and none knows another.

pub mod clock;
pub mod folder;
pub mod http;
pub mod reach;
pub mod sftp;
