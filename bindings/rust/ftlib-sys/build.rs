// SPDX-License-Identifier: Apache-2.0
//! Where libftlib_c.so is: FTLIB_LIB_DIR, else what pkg-config says of ftlib-c, else where the linker looks anyway.
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=FTLIB_LIB_DIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    println!("cargo:rustc-link-lib=dylib=ftlib_c");
    if let Ok(folder) = std::env::var("FTLIB_LIB_DIR") {
        println!("cargo:rustc-link-search=native={folder}");
    } else if let Ok(found) = Command::new("pkg-config").args(["--variable=libdir", "ftlib-c"]).output() {
        let folder = String::from_utf8_lossy(&found.stdout);
        if found.status.success() && !folder.trim().is_empty() {
            println!("cargo:rustc-link-search=native={}", folder.trim());
        }
    }
}
