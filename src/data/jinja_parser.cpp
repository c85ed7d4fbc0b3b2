// SPDX-License-Identifier: Apache-2.0
#include "data/jinja_parser.h"

#include <algorithm>

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

constexpr int kMaxLevel = 200;  // brackets, operators and blocks within each other

std::string describe(const Token& token) {
  switch (token.kind) {
    case Token::Kind::end: return "the end of the template";
    case Token::Kind::block_end: return "the end of the tag";
    case Token::Kind::print_end: return "the end of the print statement";
    default: return concat("'", token.text.substr(0, 40), "'");
  }
}

}  // namespace

Parser::Level::Level(Parser& parser) : parser_(parser) {
  if (parser.level_ >= kMaxLevel)
    throw SyntaxError{parser.now().line, concat("nested deeper than ", kMaxLevel, " levels"), Status::invalid_file,
                      Reason::limit};
  ++parser.level_;
}

Token Parser::next() {
  Token token = std::move(tokens_[at_]);
  tokens_[at_].kind = token.kind;
  tokens_[at_].line = token.line;
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Parser::skip_symbol(std::string_view symbol) { return is_symbol(symbol) && (next(), true); }
bool Parser::skip_name(std::string_view name) { return is_name(name) && (next(), true); }

void Parser::fail(std::string message, int line) const {
  throw SyntaxError{line > 0 ? line : now().line, std::move(message)};
}
void Parser::fail_unexpected() const { fail(concat("unexpected ", describe(now()))); }

void Parser::expect_symbol(std::string_view symbol) {
  if (!skip_symbol(symbol)) fail(concat("expected '", symbol, "', got ", describe(now())));
}
void Parser::expect_name(std::string_view name) {
  if (!skip_name(name)) fail(concat("expected '", name, "', got ", describe(now())));
}
void Parser::expect(Token::Kind kind, std::string_view what) {
  if (now().kind != kind) fail(concat("expected ", what, ", got ", describe(now())));
  next();
}
std::string Parser::take_name() {
  if (now().kind != Token::Kind::name) fail(concat("expected a name, got ", describe(now())));
  return next().text;
}

Symbol Parser::intern(const std::string& name) {
  const auto [found, added] = symbols_.try_emplace(name, static_cast<Symbol>(program_.names.size()));
  if (added) program_.names.push_back(name);
  return found->second;
}

void Parser::parse() {
  program_.loop = intern("loop");
  program_.caller = intern("caller");
  program_.varargs = intern("varargs");
  program_.kwargs = intern("kwargs");
  program_.body = parse_body({});
}

Body Parser::parse_body(Ends ends) {
  const Level level(*this);
  Body body;
  const auto output = [&]() -> OutputNode& {
    if (body.empty() || !std::holds_alternative<OutputNode>(body.back().node))
      body.push_back({now().line, OutputNode{}});
    return std::get<OutputNode>(body.back().node);
  };
  while (now().kind != Token::Kind::end) {
    if (now().kind == Token::Kind::data) {
      ExprPtr data = make(Expr::Kind::constant, now().line);
      OutputNode& parts = output();
      data->value = make_constant(next().text);
      parts.parts.push_back(std::move(data));
    } else if (now().kind == Token::Kind::print_begin) {
      next();
      OutputNode& parts = output();
      parts.parts.push_back(parse_tuple({}));
      expect(Token::Kind::print_end, "the end of the print statement");
    } else {
      expect(Token::Kind::block_begin, "a tag");
      const bool ended = std::ranges::any_of(ends, [&](std::string_view end) { return is_name(end); });
      if (ended) return body;
      body.push_back(parse_statement());
      expect(Token::Kind::block_end, "the end of the tag");
    }
  }
  if (ends.size() != 0) fail(concat("unexpected end of the template, {% ", *(ends.end() - 1), " %} is missing"));
  return body;
}

Body Parser::parse_block(Ends ends) {
  skip_symbol(":");
  expect(Token::Kind::block_end, "the end of the tag");
  return parse_body(ends);
}

Body Parser::parse_own_block(Ends ends) {
  const int loops = std::exchange(loops_, 0);
  Body body = parse_block(ends);
  loops_ = loops;
  next();
  return body;
}

Statement Parser::parse_statement() {
  if (now().kind != Token::Kind::name) fail("expected the name of a tag");
  const int line = now().line;
  const std::string tag = now().text;
  if (tag == "set") return parse_set();
  if (tag == "if") return parse_if();
  if (tag == "for") return parse_for();
  if (tag == "macro") return parse_macro();
  if (tag == "call") return parse_call_block();
  if (tag == "with") return parse_with();
  if (tag == "print") return parse_print();
  if (tag == "filter" || tag == "generation") return parse_simple_block(tag);
  if (tag == "break" || tag == "continue") {
    if (loops_ == 0) fail(concat("'", tag, "' outside of a loop"));
    next();
    return {line, LoopControlNode{tag == "break"}};
  }
  constexpr std::string_view kRefused[] = {"block", "extends", "include", "import", "from", "autoescape"};
  if (std::ranges::find(kRefused, tag) != std::end(kRefused))
    throw SyntaxError{line, concat("the tag {% ", tag, " %} is not supported in chat templates"), Status::unsupported,
                      Reason::unsupported};
  fail(concat("unknown tag '", tag.substr(0, 40), "'"));
}

void Parser::check_target(const Expr& target) const {
  if (target.kind == Expr::Kind::tuple) {
    for (const ExprPtr& item : target.items) check_target(*item);
    return;
  }
  if (target.kind != Expr::Kind::name && target.kind != Expr::Kind::attribute)
    fail("only names, tuples of names and namespace attributes can be assigned to", target.line);
}

ExprPtr Parser::parse_target(const TupleRules& rules) {
  ExprPtr target = parse_tuple(rules);
  check_target(*target);
  return target;
}

ExprPtr Parser::parse_name_target() {
  if (now().kind != Token::Kind::name) fail(concat("expected a name, got ", describe(now())));
  ExprPtr name = parse_word(false);
  check_target(*name);
  return name;
}

Statement Parser::parse_set() {
  const int line = next().line;
  ExprPtr target = parse_target({.simple = true, .namespaces = true});
  if (skip_symbol("=")) {
    ExprPtr value = parse_tuple({});
    return {line, SetNode{std::move(target), std::move(value)}};
  }
  SetBlockNode block{std::move(target), parse_filter(nullptr), {}, {}};
  block.body = parse_block({"endset"});
  next();
  return {line, std::move(block)};
}

Statement Parser::parse_if() {
  IfNode node;
  const int line = now().line;
  do {
    next();
    ExprPtr test = parse_tuple({.conditional = false});
    node.branches.emplace_back(std::move(test), parse_block({"elif", "else", "endif"}));
  } while (is_name("elif"));
  if (next().text == "else") {
    node.otherwise = parse_block({"endif"});
    next();
  }
  return {line, std::move(node)};
}

Statement Parser::parse_for() {
  ForNode node;
  const int line = next().line;
  node.target = parse_target({.simple = true, .end_word = "in"});
  expect_name("in");
  node.iterable = parse_tuple({.conditional = false, .end_word = "recursive"});
  if (skip_name("if")) node.test = parse_expression();
  if (is_name("recursive"))
    throw SyntaxError{line, "recursive loops are not supported; use a macro", Status::unsupported, Reason::unsupported};
  ++loops_;
  node.body = parse_block({"endfor", "else"});
  --loops_;
  if (next().text == "else") {
    node.otherwise = parse_block({"endfor"});
    next();
  }
  return {line, std::move(node)};
}

void Parser::parse_signature(MacroNode& macro) {
  expect_symbol("(");
  while (!is_symbol(")")) {
    if (!macro.parameters.empty()) expect_symbol(",");
    ExprPtr parameter = parse_name_target();
    const bool repeated =
        std::ranges::any_of(macro.parameters, [&](const auto& p) { return p.first == parameter->symbol; });
    if (repeated) fail(concat("the parameter ", parameter->text, " appears twice"), parameter->line);
    macro.parameters.emplace_back(parameter->symbol, parameter->text);
    if (skip_symbol("=")) macro.defaults.push_back(parse_expression());
    else if (!macro.defaults.empty()) fail("a parameter without a default follows one with a default");
  }
  expect_symbol(")");
}

Statement Parser::parse_macro() {
  const int line = next().line;
  auto macro = std::make_unique<MacroNode>();
  ExprPtr name = parse_name_target();
  macro->name = name->text;
  macro->symbol = name->symbol;
  parse_signature(*macro);
  macro->body = parse_own_block({"endmacro"});
  return {line, MacroStatement{std::move(macro)}};
}

Statement Parser::parse_call_block() {
  CallBlockNode node;
  const int line = next().line;
  node.caller = std::make_unique<MacroNode>();
  node.caller->name = "caller";
  if (is_symbol("(")) parse_signature(*node.caller);
  node.call = parse_expression();
  if (node.call->kind != Expr::Kind::call) fail("expected a call", line);
  node.caller->body = parse_own_block({"endcall"});
  return {line, std::move(node)};
}

Statement Parser::parse_with() {
  WithNode node;
  const int line = next().line;
  while (now().kind != Token::Kind::block_end) {
    if (!node.targets.empty()) expect_symbol(",");
    node.targets.push_back(parse_target({.simple = true}));
    expect_symbol("=");
    node.values.push_back(parse_expression());
  }
  node.body = parse_block({"endwith"});
  next();
  return {line, std::move(node)};
}

Statement Parser::parse_print() {
  OutputNode node;
  const int line = next().line;
  while (now().kind != Token::Kind::block_end) {
    if (!node.parts.empty()) expect_symbol(",");
    node.parts.push_back(parse_expression());
  }
  return {line, std::move(node)};
}

Statement Parser::parse_simple_block(const std::string& tag) {
  const int line = next().line;
  if (tag == "generation") {
    program_.has_generation = true;
    return {line, GenerationNode{parse_own_block({"endgeneration"}), {}}};
  }
  FilterBlockNode node{parse_filter(nullptr, true), {}, {}};
  node.body = parse_block({"endfilter"});
  next();
  return {line, std::move(node)};
}

Program compile(std::string_view source) {
  Program program;
  Parser(tokenize(source), program).parse();
  resolve_names(program);
  return program;
}

}  // namespace ftlib::jinja
