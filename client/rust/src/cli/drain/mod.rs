//! What a drain is asked for with, and what is shown of it while it is carried out. No I/O, but for the terminal.

mod lines;
mod policy;
mod screen;
mod terminal;
mod tracked;

pub use policy::policy;
pub use screen::screen;
pub use terminal::Terminal;
pub use tracked::Tracked;
