# SPDX-License-Identifier: Apache-2.0
# cmake -DARCHIVES=A,B -DSOURCES=FOLDER,FOLDER -P symbols.cmake: rule 8 of capi/ftlib_c.h. The archives of the library
# and of its C ABI ask for no function that ends the host, prints, opens a socket, or changes what is the host's.
# Hardening's own (__stack_chk_fail, __memcpy_chk and their like) run only where memory is damaged already; SECURITY.md
# says so.
set(ends abort exit _exit _Exit quick_exit raise kill pthread_kill longjmp __longjmp_chk __assert_fail
         "std::__glibcxx_assert_fail[^\n]*")
# Of a FILE* or descriptor, fwrite and write among them, the host's own three are what matters: nothing names them.
set(prints stdout stderr "std::(cout|cerr|clog|wcout|wcerr|wclog)" printf __printf_chk vprintf __vprintf_chk fprintf
           __fprintf_chk vfprintf __vfprintf_chk dprintf __dprintf_chk vdprintf __vdprintf_chk puts putchar fputs perror
           psignal syslog vsyslog __syslog_chk err errx warn warnx)
set(connects socket socketpair connect bind listen accept getaddrinfo gethostbyname)
set(starts system popen fork vfork execve execvp posix_spawn posix_spawnp dlopen)
set(handles signal sigaction sigaltstack __sysv_signal pthread_atfork __register_atfork atexit at_quick_exit on_exit
            "std::set_terminate[^\n]*" "std::set_new_handler[^\n]*")
set(changes setlocale uselocale newlocale "std::locale::global[^\n]*" chdir fchdir chroot umask setenv unsetenv putenv
            clearenv sigprocmask pthread_sigmask alarm setitimer setrlimit srand fesetenv feupdateenv fesetround
            feenableexcept fedisableexcept feclearexcept feraiseexcept)
# An object file and what it may ask for.
set(allowed
    "parallel[^:]*:pthread_atfork"   # a child notes that the pool's threads are not there
    "parallel[^:]*:pthread_sigmask"  # a thread of the pool blocks all signals for itself: the host's threads get them
    "parallel[^:]*:fesetenv"         # a thread of the pool takes the default environment for itself
    "[^:]*libftlib_c\\.a:[^:]*:fesetenv")  # the host's environment is put by for a call, and comes back (capi/guard.h)

list(JOIN ends "|" names)
foreach(kind prints connects starts handles changes)
  list(JOIN ${kind} "|" more)
  string(APPEND names "|${more}")
endforeach()

function(check_archive archive)
  execute_process(COMMAND nm -A -u --demangle ${archive}
                  RESULT_VARIABLE code OUTPUT_VARIABLE symbols ERROR_VARIABLE errors)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "nm ${archive}: ${errors}")
  endif()
  if(NOT symbols MATCHES " U memcpy")
    message(FATAL_ERROR "nm shows no symbols of ${archive}: this check would find nothing")
  endif()
  string(REGEX MATCHALL "[^\n]+: +U (${names})(@[^\n]*)?\n" found "${symbols}")
  foreach(line IN LISTS found)
    string(REGEX REPLACE ": +U ([^\n@]+).*" ":\\1" asked "${line}")
    set(is_allowed FALSE)
    foreach(one IN LISTS allowed)
      if(asked MATCHES "(^|:)${one}$")
        set(is_allowed TRUE)
      endif()
    endforeach()
    if(NOT is_allowed)
      message(SEND_ERROR "the library asks for ${asked}")
    endif()
  endforeach()
endfunction()

# Compilers call std::terminate where an exception would leave a noexcept function, and std::thread does where it was
# not joined, so only the text tells whether the library does.
function(check_sources folder)
  file(GLOB_RECURSE sources ${folder}/*.h ${folder}/*.cpp)
  if(NOT sources)
    message(FATAL_ERROR "${folder} has no sources: this check would find nothing")
  endif()
  foreach(source IN LISTS sources)
    file(STRINGS ${source} lines REGEX "(std::|[^a-z_:.])(terminate|abort|longjmp) *\\(")
    if(lines)
      message(SEND_ERROR "${source}: ${lines}")
    endif()
  endforeach()
endfunction()

string(REPLACE "," ";" ARCHIVES "${ARCHIVES}")
string(REPLACE "," ";" SOURCES "${SOURCES}")
foreach(archive IN LISTS ARCHIVES)
  check_archive(${archive})
endforeach()
foreach(folder IN LISTS SOURCES)
  check_sources(${folder})
endforeach()
