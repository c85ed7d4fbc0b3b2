// SPDX-License-Identifier: Apache-2.0
// Recursive descent over tokens, its depth bounded. Grammar and precedence are jinja2's, oddities included.
#pragma once
#include <initializer_list>
#include <unordered_map>

#include "data/jinja_ast.h"
#include "data/jinja_lexer.h"

namespace ftlib::inline FTLIB_ABI::jinja {

class Parser {
 public:
  Parser(std::vector<Token> tokens, Program& program) : tokens_(std::move(tokens)), program_(program) {}
  void parse();  ///< fills the program's body and names

 private:
  using Ends = std::initializer_list<std::string_view>;
  struct TupleRules {
    bool simple = false;         // names and literals only
    bool conditional = true;     // `a if b else c` is allowed
    bool parentheses = false;    // an empty tuple is allowed
    bool namespaces = false;     // `ns.name` is a target
    std::string_view end_word{};  // also ends before this name
  };
  /// Counts one level of nesting while it lives.
  class Level {
   public:
    explicit Level(Parser& parser);
    ~Level() { --parser_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  // Tokens.
  const Token& now() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token next();
  bool is_symbol(std::string_view symbol) const { return now().kind == Token::Kind::symbol && now().text == symbol; }
  bool is_name(std::string_view name) const { return now().kind == Token::Kind::name && now().text == name; }
  bool skip_symbol(std::string_view symbol);
  bool skip_name(std::string_view name);
  void expect_symbol(std::string_view symbol);
  void expect_name(std::string_view name);
  void expect(Token::Kind kind, std::string_view what);
  std::string take_name();
  [[noreturn]] void fail(std::string message, int line = 0) const;
  [[noreturn]] void fail_unexpected() const;
  Symbol intern(const std::string& name);

  // Statements (jinja_parser.cpp).
  Body parse_body(Ends ends);
  Body parse_block(Ends ends);       // after a tag's head: its end, then statements until one of `ends`
  Body parse_own_block(Ends ends);   // the same where break and continue have no loop
  Statement parse_statement();
  Statement parse_set();
  Statement parse_if();
  Statement parse_for();
  Statement parse_macro();
  Statement parse_call_block();
  Statement parse_with();
  Statement parse_print();
  Statement parse_simple_block(const std::string& tag);
  void parse_signature(MacroNode& macro);
  ExprPtr parse_target(const TupleRules& rules);
  ExprPtr parse_name_target();
  void check_target(const Expr& target) const;

  // Expressions (jinja_expression.cpp).
  ExprPtr parse_tuple(const TupleRules& rules);
  ExprPtr parse_expression(bool conditional = true);
  ExprPtr parse_conditional();
  ExprPtr parse_chain(Expr::Kind kind, std::string_view word, ExprPtr (Parser::*operand)());
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  bool take_comparison(Op& op);
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filter = true);
  ExprPtr parse_primary(bool namespaces = false);
  ExprPtr parse_word(bool namespaces);
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr node);
  ExprPtr parse_filter_expression(ExprPtr node);
  ExprPtr parse_subscript(ExprPtr node);
  ExprPtr parse_index();
  ExprPtr parse_call(ExprPtr node);
  ExprPtr parse_filter(ExprPtr node, bool inline_start = false);
  ExprPtr parse_test(ExprPtr node);
  std::unique_ptr<CallNode> parse_arguments();
  std::string parse_dotted_name();
  bool starts_test_argument() const;

  ExprPtr make(Expr::Kind kind, int line) const;
  /// Adds an operand; refuses expressions nested too deep to be walked.
  void add(Expr& parent, ExprPtr child) const;
  ExprPtr binary(Op op, ExprPtr left, ExprPtr right) const;

  std::vector<Token> tokens_;
  Program& program_;
  std::size_t at_ = 0;
  int level_ = 0;
  int loops_ = 0;
  std::unordered_map<std::string, Symbol> symbols_;
};

}  // namespace ftlib::jinja
