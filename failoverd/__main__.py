"""python3 -m failoverd: the daemon."""

from failoverd.cli.daemon import main

raise SystemExit(main())
