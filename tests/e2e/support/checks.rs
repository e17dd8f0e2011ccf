//! Looking at errors as a client does.

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The parts of a status that tests ask for.
pub trait ErrorExt {
    /// The reason of its ErrorInfo.
    fn reason(&self) -> String;
    /// The fields of its BadRequest.
    fn fields(&self) -> Vec<String>;
}

impl ErrorExt for Status {
    fn reason(&self) -> String {
        let info = self.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {self:?}"));
        assert_eq!(info.domain, "nodeward.dev");
        info.reason
    }

    fn fields(&self) -> Vec<String> {
        let violations = self.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
        violations.into_iter().map(|violation| violation.field).collect()
    }
}

/// It failed with this code and reason.
#[track_caller]
pub fn assert_error<T>(result: Result<T, Status>, code: Code, reason: &str) -> Status {
    let Err(status) = result else { panic!("it succeeded instead of {reason}") };
    assert_eq!((status.code(), status.reason().as_str()), (code, reason), "{status:?}");
    status
}

/// It failed because of this field.
#[track_caller]
pub fn assert_violation<T>(result: Result<T, Status>, field: &str) {
    let Err(status) = result else { panic!("it succeeded in spite of {field}") };
    let status = assert_error(Err::<(), _>(status), Code::InvalidArgument, "INVALID_FIELD");
    assert!(status.fields().iter().any(|found| found == field), "{field} is not among {:?}", status.fields());
}
