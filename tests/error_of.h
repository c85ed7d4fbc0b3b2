// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/core/error.h"

/// What the action throws; Status::ok where it throws nothing.
ftlib::Error error_of(const auto& action) {
  try {
    action();
  } catch (const ftlib::Error& error) {
    return error;
  }
  return {ftlib::Status::ok, ""};
}
