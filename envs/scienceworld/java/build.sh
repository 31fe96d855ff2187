#!/usr/bin/env bash
# Compiles the classes that ship with the package. Needs a Java with a compiler (a JDK; Debian's headless runtime holds
# one, too) and the scienceworld package. A test compiles them like this and compares.
set -euo pipefail
cd "$(dirname "$0")"
jar=$(python -c 'from scienceworld.constants import JAR_PATH; print(JAR_PATH)')
rm -f agentr/*.class
java -m jdk.compiler/com.sun.tools.javac.Main --release 8 -Xlint:all,-options -classpath "$jar" agentr/*.java
