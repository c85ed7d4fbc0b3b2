// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "data/jinja_parser.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

constexpr int kMaxDepth = 300;  // of an expression's tree: a + b + c + ... grows one level a term

constexpr std::pair<std::string_view, Op> kComparisons[] = {
    {"==", Op::equal}, {"!=", Op::not_equal}, {"<", Op::less},
    {"<=", Op::less_equal}, {">", Op::greater}, {">=", Op::greater_equal}};

}  // namespace

ExprPtr Parser::make(Expr::Kind kind, int line) const {
  auto node = std::make_unique<Expr>();
  node->kind = kind;
  node->line = line;
  return node;
}

void Parser::add(Expr& parent, ExprPtr child) const {
  if (child != nullptr) parent.depth = std::max(parent.depth, child->depth + 1);
  if (parent.depth > kMaxDepth)
    throw SyntaxError{parent.line, concat("an expression is nested deeper than ", kMaxDepth, " levels"),
                      Status::invalid_file, Reason::limit};
  parent.items.push_back(std::move(child));
}

ExprPtr Parser::binary(Op op, ExprPtr left, ExprPtr right) const {
  ExprPtr node = make(Expr::Kind::binary, left->line);
  node->op = op;
  add(*node, std::move(left));
  add(*node, std::move(right));
  return node;
}

ExprPtr Parser::parse_tuple(const TupleRules& rules) {
  const int line = now().line;
  std::vector<ExprPtr> items;
  bool tuple = false;
  for (;;) {
    if (!items.empty()) expect_symbol(",");
    if (now().kind == Token::Kind::print_end || now().kind == Token::Kind::block_end || is_symbol(")") ||
        (!rules.end_word.empty() && is_name(rules.end_word)))
      break;
    items.push_back(rules.simple ? parse_primary(rules.namespaces) : parse_expression(rules.conditional));
    if (!is_symbol(",")) break;
    tuple = true;
  }
  if (!tuple && !items.empty()) return std::move(items[0]);
  if (!tuple && !rules.parentheses) fail("expected an expression");
  ExprPtr node = make(Expr::Kind::tuple, line);
  for (ExprPtr& item : items) add(*node, std::move(item));
  return node;
}

ExprPtr Parser::parse_expression(bool conditional) {
  const Level level(*this);
  return conditional ? parse_conditional() : parse_or();
}

ExprPtr Parser::parse_conditional() {
  ExprPtr node = parse_or();
  while (is_name("if")) {
    ExprPtr choice = make(Expr::Kind::conditional, next().line);
    add(*choice, parse_or());
    add(*choice, std::move(node));
    add(*choice, skip_name("else") ? parse_expression() : nullptr);
    node = std::move(choice);
  }
  return node;
}

ExprPtr Parser::parse_chain(Expr::Kind kind, std::string_view word, ExprPtr (Parser::*operand)()) {
  ExprPtr first = (this->*operand)();
  if (!is_name(word)) return first;
  ExprPtr node = make(kind, first->line);
  add(*node, std::move(first));
  while (skip_name(word)) add(*node, (this->*operand)());
  return node;
}

ExprPtr Parser::parse_or() { return parse_chain(Expr::Kind::logical_or, "or", &Parser::parse_and); }
ExprPtr Parser::parse_and() { return parse_chain(Expr::Kind::logical_and, "and", &Parser::parse_not); }

ExprPtr Parser::parse_not() {
  if (!is_name("not")) return parse_compare();
  const Level level(*this);
  ExprPtr node = make(Expr::Kind::logical_not, next().line);
  add(*node, parse_not());
  return node;
}

bool Parser::take_comparison(Op& op) {
  for (const auto& [symbol, comparison] : kComparisons)
    if (skip_symbol(symbol)) return op = comparison, true;
  if (skip_name("in")) return op = Op::in, true;
  if (!is_name("not") || ahead().kind != Token::Kind::name || ahead().text != "in") return false;
  next();
  next();
  return op = Op::not_in, true;
}

ExprPtr Parser::parse_compare() {
  ExprPtr first = parse_sum();
  Op op{};
  if (!take_comparison(op)) return first;
  ExprPtr node = make(Expr::Kind::compare, first->line);
  add(*node, std::move(first));
  do {
    node->ops.push_back(op);
    add(*node, parse_sum());
  } while (take_comparison(op));
  return node;
}

ExprPtr Parser::parse_sum() {
  ExprPtr node = parse_concat();
  for (;;) {
    if (skip_symbol("+")) node = binary(Op::add, std::move(node), parse_concat());
    else if (skip_symbol("-")) node = binary(Op::subtract, std::move(node), parse_concat());
    else return node;
  }
}

ExprPtr Parser::parse_concat() {
  ExprPtr first = parse_product();
  if (!is_symbol("~")) return first;
  ExprPtr node = make(Expr::Kind::concat, first->line);
  add(*node, std::move(first));
  while (skip_symbol("~")) add(*node, parse_product());
  return node;
}

ExprPtr Parser::parse_product() {
  ExprPtr node = parse_power();
  for (;;) {
    if (skip_symbol("*")) node = binary(Op::multiply, std::move(node), parse_power());
    else if (skip_symbol("/")) node = binary(Op::divide, std::move(node), parse_power());
    else if (skip_symbol("//")) node = binary(Op::floor_divide, std::move(node), parse_power());
    else if (skip_symbol("%")) node = binary(Op::modulo, std::move(node), parse_power());
    else return node;
  }
}

ExprPtr Parser::parse_power() {
  ExprPtr node = parse_unary();
  while (skip_symbol("**")) node = binary(Op::power, std::move(node), parse_unary());
  return node;
}

ExprPtr Parser::parse_unary(bool with_filter) {
  const Level level(*this);
  ExprPtr node;
  if (is_symbol("-") || is_symbol("+")) {
    node = make(is_symbol("-") ? Expr::Kind::negate : Expr::Kind::plus, now().line);
    next();
    add(*node, parse_unary(false));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filter ? parse_filter_expression(std::move(node)) : std::move(node);
}

ExprPtr Parser::parse_word(bool namespaces) {
  const Token token = next();
  const std::string& word = token.text;
  ExprPtr node = make(Expr::Kind::constant, token.line);
  if (word == "true" || word == "True") node->value = Value(true);
  else if (word == "false" || word == "False") node->value = Value(false);
  else if (word != "none" && word != "None") {
    node->kind = Expr::Kind::name;
    node->symbol = intern(word);
    node->text = word;
  }
  if (node->kind != Expr::Kind::name || !namespaces || !skip_symbol(".")) return node;
  ExprPtr attribute = make(Expr::Kind::attribute, token.line);
  attribute->text = take_name();
  add(*attribute, std::move(node));
  return attribute;
}

ExprPtr Parser::parse_primary(bool namespaces) {
  const Token& token = now();
  ExprPtr node = make(Expr::Kind::constant, token.line);
  if (token.kind == Token::Kind::name) return parse_word(namespaces);
  if (token.kind == Token::Kind::string) {
    std::string text;
    while (now().kind == Token::Kind::string) text += next().text;
    node->value = make_constant(std::move(text));
  } else if (token.kind == Token::Kind::integer) {
    node->value = Value(next().integer);
  } else if (token.kind == Token::Kind::real) {
    node->value = Value(next().real);
  } else if (is_symbol("(")) {
    next();
    node = parse_tuple({.parentheses = true});
    expect_symbol(")");
  } else if (is_symbol("[")) {
    return parse_list();
  } else if (is_symbol("{")) {
    return parse_dict();
  } else {
    fail_unexpected();
  }
  return node;
}

ExprPtr Parser::parse_list() {
  ExprPtr node = make(Expr::Kind::list, now().line);
  expect_symbol("[");
  while (!is_symbol("]")) {
    if (!node->items.empty()) expect_symbol(",");
    if (is_symbol("]")) break;
    add(*node, parse_expression());
  }
  expect_symbol("]");
  return node;
}

ExprPtr Parser::parse_dict() {
  ExprPtr node = make(Expr::Kind::dict, now().line);
  expect_symbol("{");
  while (!is_symbol("}")) {
    if (!node->items.empty()) expect_symbol(",");
    if (is_symbol("}")) break;
    add(*node, parse_expression());
    expect_symbol(":");
    add(*node, parse_expression());
  }
  expect_symbol("}");
  return node;
}

ExprPtr Parser::parse_postfix(ExprPtr node) {
  for (;;) {
    if (is_symbol(".") || is_symbol("[")) node = parse_subscript(std::move(node));
    else if (is_symbol("(")) node = parse_call(std::move(node));
    else return node;
  }
}

ExprPtr Parser::parse_filter_expression(ExprPtr node) {
  for (;;) {
    if (is_symbol("|")) node = parse_filter(std::move(node));
    else if (is_name("is")) node = parse_test(std::move(node));
    else if (is_symbol("(")) node = parse_call(std::move(node));
    else return node;
  }
}

ExprPtr Parser::parse_subscript(ExprPtr node) {
  const int line = now().line;
  ExprPtr result = make(Expr::Kind::item, line);
  if (skip_symbol(".")) {
    if (now().kind == Token::Kind::name) {
      result->kind = Expr::Kind::attribute;
      result->text = next().text;
      add(*result, std::move(node));
      return result;
    }
    if (now().kind != Token::Kind::integer) fail("expected a name or a number after '.'");
    ExprPtr index = make(Expr::Kind::constant, line);
    index->value = Value(next().integer);
    add(*result, std::move(node));
    add(*result, std::move(index));
    return result;
  }
  expect_symbol("[");
  std::vector<ExprPtr> indices;
  while (!is_symbol("]")) {
    if (!indices.empty()) expect_symbol(",");
    indices.push_back(parse_index());
  }
  expect_symbol("]");
  add(*result, std::move(node));
  if (indices.size() == 1) {
    add(*result, std::move(indices[0]));
  } else {
    ExprPtr tuple = make(Expr::Kind::tuple, line);
    for (ExprPtr& index : indices) add(*tuple, std::move(index));
    add(*result, std::move(tuple));
  }
  return result;
}

ExprPtr Parser::parse_index() {
  ExprPtr slice = make(Expr::Kind::slice, now().line);
  const auto at_end = [&] { return is_symbol("]") || is_symbol(",") || is_symbol(":"); };
  if (!is_symbol(":")) {
    ExprPtr first = parse_expression();
    if (!is_symbol(":")) return first;
    add(*slice, std::move(first));
  } else {
    add(*slice, nullptr);
  }
  expect_symbol(":");
  add(*slice, at_end() ? nullptr : parse_expression());
  add(*slice, skip_symbol(":") && !at_end() ? parse_expression() : nullptr);
  return slice;
}

std::unique_ptr<CallNode> Parser::parse_arguments() {
  const int line = now().line;
  auto call = std::make_unique<CallNode>();
  expect_symbol("(");
  bool first = true;
  while (!is_symbol(")")) {
    if (!first) {
      expect_symbol(",");
      if (is_symbol(")")) break;
    }
    first = false;
    const auto ensure = [&](bool good) {
      if (!good) fail("invalid syntax for function call expression", line);
    };
    if (skip_symbol("*")) {
      ensure(call->star == nullptr && call->double_star == nullptr);
      call->star = parse_expression();
    } else if (skip_symbol("**")) {
      ensure(call->double_star == nullptr);
      call->double_star = parse_expression();
    } else if (now().kind == Token::Kind::name && ahead().kind == Token::Kind::symbol && ahead().text == "=") {
      ensure(call->double_star == nullptr);
      std::string name = next().text;
      next();
      const bool repeated = std::ranges::any_of(call->named, [&](const auto& item) { return item.first == name; });
      if (repeated) fail(concat("keyword argument repeated: ", name), line);
      call->named.emplace_back(std::move(name), parse_expression());
    } else {
      ensure(call->star == nullptr && call->double_star == nullptr && call->named.empty());
      call->positional.push_back(parse_expression());
    }
  }
  expect_symbol(")");
  return call;
}

ExprPtr Parser::parse_call(ExprPtr node) {
  ExprPtr call = make(Expr::Kind::call, now().line);
  call->call = parse_arguments();
  add(*call, std::move(node));
  return call;
}

std::string Parser::parse_dotted_name() {
  std::string name = take_name();
  while (skip_symbol(".")) name += "." + take_name();
  return name;
}

ExprPtr Parser::parse_filter(ExprPtr node, bool inline_start) {
  while (inline_start || skip_symbol("|")) {
    inline_start = false;
    ExprPtr filter = make(Expr::Kind::filter, now().line);
    filter->text = parse_dotted_name();
    filter->call = is_symbol("(") ? parse_arguments() : std::make_unique<CallNode>();
    add(*filter, std::move(node));
    node = std::move(filter);
  }
  return node;
}

bool Parser::starts_test_argument() const {
  switch (now().kind) {
    case Token::Kind::name: return now().text != "else" && now().text != "or" && now().text != "and";
    case Token::Kind::string:
    case Token::Kind::integer:
    case Token::Kind::real: return true;
    default: return is_symbol("[") || is_symbol("{");
  }
}

ExprPtr Parser::parse_test(ExprPtr node) {
  const int line = next().line;
  const bool negated = skip_name("not");
  ExprPtr test = make(Expr::Kind::test, line);
  test->text = parse_dotted_name();
  test->call = std::make_unique<CallNode>();
  if (is_symbol("(")) {
    test->call = parse_arguments();
  } else if (starts_test_argument()) {
    if (is_name("is")) fail("tests with 'is' cannot be chained");
    const Level level(*this);
    test->call->positional.push_back(parse_postfix(parse_primary()));
  }
  add(*test, std::move(node));
  if (!negated) return test;
  ExprPtr inverse = make(Expr::Kind::logical_not, line);
  add(*inverse, std::move(test));
  return inverse;
}

}  // namespace ftlib::jinja
