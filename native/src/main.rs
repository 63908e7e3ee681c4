//! The program `diffem`, whose command line is the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    diffem_cli::main()
}
