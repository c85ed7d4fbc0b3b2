# The library never ends the host, prints, or opens a socket: its archive asks for no function that does. Hardening's own
# (__stack_chk_fail, __memcpy_chk and their like) run only where memory is damaged already; SECURITY.md says so.
execute_process(COMMAND nm -u --demangle ${ARCHIVE} RESULT_VARIABLE code OUTPUT_VARIABLE symbols ERROR_VARIABLE errors)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "nm ${ARCHIVE}: ${errors}")
endif()
if(NOT symbols MATCHES " U memcpy")
  message(FATAL_ERROR "nm shows no symbols of ${ARCHIVE}: this check would find nothing")
endif()
foreach(name abort exit _exit quick_exit __assert_fail printf __printf_chk vprintf __vprintf_chk fprintf __fprintf_chk
             vfprintf __vfprintf_chk puts putchar fputs
             perror signal sigaction socket connect getaddrinfo dlopen system popen "std::cout" "std::cerr"
             "std::__glibcxx_assert_fail[^\n]*")
  if(symbols MATCHES "(^|\n) +U ${name}(\n|$)")
    message(SEND_ERROR "the library calls ${name}")
  endif()
endforeach()
