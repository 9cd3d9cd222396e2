//! Endpoints: the triple module / controller / action that a request names, read from its sources.

/// Module, controller, action: the decoded bytes as sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Endpoint {
    /// Module; may be empty.
    pub module: Vec<u8>,
    /// Controller; may be empty.
    pub controller: Vec<u8>,
    /// Action; may be empty.
    pub action: Vec<u8>,
}

/// Where a parameter source looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `query:`
    Query,
    /// `form:`
    Form,
    /// `request:` (form over query)
    Request,
}

/// Which part of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Module.
    Module,
    /// Controller.
    Controller,
    /// Action.
    Action,
}

/// One source of `endpoint`. A source may combine a path with parameters for the other parts.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// `path: "/{module}/{controller}/{action}"`, compiled.
    pub path: Option<Template>,
    /// `query_path: {name, template}`: a query parameter that holds a path.
    pub query_path: Option<(Vec<u8>, Template)>,
    /// `query:`, `form:`, `request:`: parameter names for parts.
    pub params: Vec<(Place, Part, Vec<u8>)>,
}

/// A path template: literal texts and parts, split at `/`; `{path}` alone takes the whole path as action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its segments; each literal text, or text around one part.
    pub segments: Vec<Segment>,
    /// Whether further segments may follow (`/**`).
    pub open: bool,
    /// `{path}`: the whole path is the action.
    pub whole: bool,
}

/// One segment of a template: what stands before and after the part, or literal text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Text that must be there, in any case.
    Literal(Vec<u8>),
    /// A part between two (possibly empty) texts, as in `{module}.php`.
    Part {
        /// Text before.
        before: Vec<u8>,
        /// The part.
        part: Part,
        /// Text after.
        after: Vec<u8>,
    },
}

/// How parts compare in rules, besides case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Fold {
    /// `UserType` = `usertype`.
    pub case: bool,
    /// `UserType` = `user_type`.
    pub underscore: bool,
    /// `user-type` = `usertype`.
    pub dash: bool,
}

/// Reads the endpoint of a request.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// Where to look, in order.
    pub sources: Vec<Source>,
    /// What a present source leaves out.
    pub defaults: Endpoint,
    /// Front controllers taken off the path before it is matched (`/index.php`).
    pub scripts: Vec<String>,
    /// Suffixes taken off the action (`.html`).
    pub suffixes: Vec<String>,
    /// `suffixes: any`.
    pub any_suffix: bool,
    /// How parts compare.
    pub fold: Fold,
}

impl Template {
    /// Compiles `/{module}/{controller}/{action}`; the error says what is wrong with it.
    pub fn parse(_text: &str) -> Result<Self, String> {
        todo!()
    }
}
