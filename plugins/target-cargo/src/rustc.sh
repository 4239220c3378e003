#!/bin/sh
# What Cargo runs instead of the compiler (RUSTC_WRAPPER): the compiler, told to write the same
# names into what it makes wherever that happens. As flags (RUSTFLAGS) this would take the place of
# those that the project has in its configuration.
root=${0%/*}
if [ -n "$SYNTH_STABLE_METADATA" ]; then
    # Cargo tells crates of one name apart by a number (-C metadata=..) that follows from the
    # absolute path of what lies outside of the workspace. What else is said of the crate tells
    # them apart as well, and is the same everywhere.
    identity="$CARGO_PKG_NAME $CARGO_PKG_VERSION ${CARGO_MANIFEST_DIR#"$root"}"
    for argument in "$@"; do
        case $argument in
            metadata=* | extra-filename=* | *"$root"* | *"$SYNTH_CARGO_TARGET"*) ;;
            *) identity="$identity $argument" ;;
        esac
    done
    for argument in "$@"; do
        shift
        case $argument in
            metadata=*) argument="metadata=$identity" ;;
        esac
        set -- "$@" "$argument"
    done
fi
exec ${SYNTH_RUSTC_WRAPPER:+"$SYNTH_RUSTC_WRAPPER"} "$@" \
    --remap-path-prefix="$root/vendor=/vendor" \
    --remap-path-prefix="$root/source=/source" \
    --remap-path-prefix="$SYNTH_CARGO_TARGET=/target" \
    ${OUT_DIR:+"--remap-path-prefix=$OUT_DIR=/target/$CARGO_PKG_NAME"}
