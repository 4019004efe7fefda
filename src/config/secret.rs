//! Secrets by reference: systemd's credentials, then the environment, then a file that the environment names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::domain::job::SecretRef;

/// Gives the values behind references.
pub trait SecretSource: Send + Sync {
    /// The value; the error says where it was looked for.
    fn secret(&self, name: &SecretRef) -> Result<SecretString, String>;
}

/// Where secrets are looked for. Reads the environment once; prints no value, ever.
#[derive(Clone)]
pub struct Secrets {
    credentials: Option<PathBuf>,
    environment: BTreeMap<String, SecretString>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl Secrets {
    /// What this process was given.
    pub fn from_environment() -> Self {
        Self::new(std::env::vars())
    }

    /// Only the files of one folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self { credentials: Some(folder.to_owned()), environment: BTreeMap::new() }
    }

    fn new(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut secrets = Self { credentials: None, environment: BTreeMap::new() };
        for (name, value) in variables {
            if name == "CREDENTIALS_DIRECTORY" && !value.is_empty() {
                secrets.credentials = Some(PathBuf::from(value));
            } else if name.starts_with("NIGHTFERRY_SECRET_") {
                secrets.environment.insert(name, SecretString::from(value));
            }
        }
        secrets
    }
}

/// `erp-token` → `NIGHTFERRY_SECRET_ERP_TOKEN`.
fn variable(name: &str) -> String {
    let upper = name.chars().map(|character| {
        let upper = character.to_ascii_uppercase();
        if upper.is_ascii_uppercase() || upper.is_ascii_digit() { upper } else { '_' }
    });
    format!("NIGHTFERRY_SECRET_{}", upper.collect::<String>())
}

/// The content of a file without one final line break.
fn read(path: &Path) -> std::io::Result<SecretString> {
    let mut text = std::fs::read_to_string(path)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(SecretString::from(text))
}

impl SecretSource for Secrets {
    fn secret(&self, name: &SecretRef) -> Result<SecretString, String> {
        use secrecy::ExposeSecret as _;
        let mut looked = Vec::new();
        match &self.credentials {
            None => looked.push("$CREDENTIALS_DIRECTORY (not set: not started by systemd?)".to_owned()),
            Some(folder) => match read(&folder.join(&name.0)) {
                Ok(secret) => return Ok(secret),
                Err(error) => looked.push(format!("$CREDENTIALS_DIRECTORY/{} ({})", name.0, reason(&error))),
            },
        }
        let variable = variable(&name.0);
        if let Some(secret) = self.environment.get(&variable) {
            return Ok(secret.clone());
        }
        looked.push(format!("${variable} (not set)"));
        let file_variable = format!("{variable}_FILE");
        match self.environment.get(&file_variable) {
            None => looked.push(format!("${file_variable} (not set)")),
            Some(path) => match read(Path::new(path.expose_secret())) {
                Ok(secret) => return Ok(secret),
                Err(error) => looked.push(format!("the file of ${file_variable} ({})", reason(&error))),
            },
        }
        Err(format!("secret `{}` was not found; looked in {}", name.0, looked.join(", ")))
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::InvalidData => "not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn found(secrets: &Secrets, name: &str) -> Result<String, String> {
        secrets.secret(&SecretRef(name.to_owned())).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn systemd_comes_first_then_the_variable_then_the_file_it_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.token"), "from systemd\n").unwrap();
        std::fs::write(folder.path().join("mounted"), "from a mounted file\r\n").unwrap();
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let path = |name: &str| folder.path().join(name).display().to_string();
        let secrets = Secrets::new(
            [
                pair("CREDENTIALS_DIRECTORY", folder.path().display().to_string()),
                pair("NIGHTFERRY_SECRET_A_TOKEN", "shadowed".into()),
                pair("NIGHTFERRY_SECRET_B_TOKEN", "from the variable".into()),
                pair("NIGHTFERRY_SECRET_C_FILE", path("mounted")),
            ]
            .into_iter(),
        );
        assert_eq!(found(&secrets, "a.token").as_deref(), Ok("from systemd"));
        assert_eq!(found(&secrets, "b-token").as_deref(), Ok("from the variable"));
        assert_eq!(found(&secrets, "c").as_deref(), Ok("from a mounted file"));
        assert_eq!(
            found(&secrets, "d-1"),
            Err("secret `d-1` was not found; looked in $CREDENTIALS_DIRECTORY/d-1 (no such file), \
                 $NIGHTFERRY_SECRET_D_1 (not set), $NIGHTFERRY_SECRET_D_1_FILE (not set)"
                .to_owned())
        );
        assert!(!format!("{secrets:?}").contains("from the variable"));
    }
}
