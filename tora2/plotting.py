"""matplotlib, which draws curves and charts where it is installed."""


def check_plotting(what: str, extra: str) -> None:
    """Refuse to begin what ends with a picture that could not be drawn.

    Args:
        what: is drawn, with its verb: "curves need".
        extra: of this package, which brings matplotlib.

    Raises:
        ValueError: if matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise ValueError(
            f"{what} matplotlib; install it with: pip install 'comfyui-tora2[{extra}]'"
        ) from None
    matplotlib.use("Agg")
