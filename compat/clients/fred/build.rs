//! Tells the program which version of the client it was built with: the one that Cargo.toml pins.

fn main() {
    let manifest = std::fs::read_to_string("Cargo.toml").expect("Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("fred = ")).expect("the dependency");
    let version = line.split("\"=").nth(1).and_then(|rest| rest.split('"').next()).expect("its version");
    println!("cargo:rustc-env=FRED_VERSION={version}");
}
