#!/usr/bin/env bash
# Compiles the classes that ship with the package. Needs a JDK and the scienceworld package.
set -euo pipefail
cd "$(dirname "$0")"
jar=$(python -c 'from scienceworld.constants import JAR_PATH; print(JAR_PATH)')
rm -f agentr/*.class
javac --release 8 -Xlint:all,-options -classpath "$jar" agentr/*.java
