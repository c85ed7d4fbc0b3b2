// SPDX-License-Identifier: Apache-2.0
use ftlib_sys as sys;
use std::ffi::CStr;
use std::fmt;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Something was passed that cannot work.
    InvalidArgument = sys::FT_ERROR_INVALID_ARGUMENT as isize,
    /// Understood, but not offered by this library, build or processor.
    Unsupported = sys::FT_ERROR_UNSUPPORTED as isize,
    /// There is not enough memory.
    OutOfMemory = sys::FT_ERROR_OUT_OF_MEMORY as isize,
    /// A file's content is wrong; [`Error::reason`] says how.
    InvalidFile = sys::FT_ERROR_INVALID_FILE as isize,
    /// The operating system refused.
    Io = sys::FT_ERROR_IO as isize,
    /// There is no such file or thing.
    NotFound = sys::FT_ERROR_NOT_FOUND as isize,
    /// Another call, thread or process holds it: wait and try again.
    Busy = sys::FT_ERROR_BUSY as isize,
    /// Two valid things do not belong together.
    Mismatch = sys::FT_ERROR_MISMATCH as isize,
    /// NaN or infinity where a number is needed.
    NonFinite = sys::FT_ERROR_NON_FINITE as isize,
    /// A callback or a [`crate::CancelToken`] asked for it.
    Cancelled = sys::FT_ERROR_CANCELLED as isize,
    /// A fault of the library: please report it.
    Internal = sys::FT_ERROR_INTERNAL as isize,
    /// A buffer of the caller's is too small.
    BufferTooSmall = sys::FT_ERROR_BUFFER_TOO_SMALL as isize,
}

impl Status {
    /// Its name in C: "FT_ERROR_BUSY".
    pub fn name(self) -> &'static str {
        // A constant of the library's, in ASCII.
        unsafe { CStr::from_ptr(sys::ft_status_name(self as sys::ft_status)) }.to_str().unwrap_or("")
    }
}

/// An error with the sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: Status,
    reason: &'static str,
    message: String,
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What kind of error it is.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What is wrong with a file ("TRUNC", "SCHEMA", ...); "NONE" for errors that no file caused.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// One of this crate's own.
    pub(crate) fn new(status: Status, message: String) -> Error {
        Error { status, reason: "NONE", message }
    }

    pub(crate) fn invalid(message: String) -> Error {
        Error::new(Status::InvalidArgument, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The error of the call that this thread has just made.
pub(crate) fn check(status: sys::ft_status) -> Result<()> {
    let status = match status {
        sys::FT_OK => return Ok(()),
        sys::FT_ERROR_INVALID_ARGUMENT => Status::InvalidArgument,
        sys::FT_ERROR_UNSUPPORTED => Status::Unsupported,
        sys::FT_ERROR_OUT_OF_MEMORY => Status::OutOfMemory,
        sys::FT_ERROR_INVALID_FILE => Status::InvalidFile,
        sys::FT_ERROR_IO => Status::Io,
        sys::FT_ERROR_NOT_FOUND => Status::NotFound,
        sys::FT_ERROR_BUSY => Status::Busy,
        sys::FT_ERROR_MISMATCH => Status::Mismatch,
        sys::FT_ERROR_NON_FINITE => Status::NonFinite,
        sys::FT_ERROR_CANCELLED => Status::Cancelled,
        sys::FT_ERROR_BUFFER_TOO_SMALL => Status::BufferTooSmall,
        _ => Status::Internal,
    };
    // Both texts are the library's and end with a NUL; the reason's is a constant.
    let (message, reason) = unsafe {
        (CStr::from_ptr(sys::ft_last_error()), CStr::from_ptr(sys::ft_reason_name(sys::ft_last_error_reason())))
    };
    Err(Error { status, reason: reason.to_str().unwrap_or("NONE"), message: message.to_string_lossy().into_owned() })
}
