//! minijinja text filled with a value; an error says what kind it is and where, never what was filled in.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use zeroize::Zeroizing;

/// Steps a template may take: far above any configuration file, far below a second.
const FUEL: u64 = 100_000;

/// `template` filled with `known`; the error is one line of cause.
///
/// # Errors
/// When it is no template, names what is not known, or takes too many steps.
pub fn render(template: &str, known: Value) -> Result<Zeroizing<String>, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_debug(false);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax.map_err(|error| error.kind().to_string())?);
    // Only the kind and the line: the whole text of an error may quote a value.
    let failed = |error: minijinja::Error| format!("{} in line {} of its template", error.kind(), error.line().unwrap_or(1));
    environment.render_str(template, known).map(Zeroizing::new).map_err(failed)
}
