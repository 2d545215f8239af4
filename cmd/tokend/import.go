package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tokend/clientlib"
)

func newImport(env *environment) *cobra.Command {
	i := &importer{asker: asker{env: env}}
	cmd := &cobra.Command{
		Use:   "import OWNER",
		Short: "Bring in every customer of a third-party platform from WeChat's list",
		Long: `Bring in the refresh tokens of all customers of a third-party platform from WeChat's list, so that a
site can move in without its old database. OWNER is open_platform/<component_appid>.

The list comes in pages of 500, each a call to WeChat; how far it has come is shown on standard error. What
is the same already is left as it is, so it may be repeated, and an import that was interrupted goes on
from an --offset. If WeChat lists fewer customers than it counts, the exit status is 4 and the number of
missing customers is printed. --timeout is for each page. It is granted to root and tokend's own user
unless the configuration says otherwise.`,
		Example:           "  tokend import open_platform/wx0123456789abcdef",
		Args:              takes("OWNER"),
		ValidArgsFunction: i.owners,
		RunE:              i.run,
	}
	i.flags(cmd)
	cmd.Flags().IntVar(&i.offset, "offset", 0, "begin behind the first `N` of the list")
	return cmd
}

type importer struct {
	asker
	offset int
}

func (i *importer) run(cmd *cobra.Command, args []string) error {
	if i.offset < 0 {
		return &usageError{text: "import: --offset must not be negative", command: cmd}
	}
	owner, kept, total := args[0], 0, 0
	for {
		page, err := i.page(cmd, owner)
		if err != nil {
			return &importError{err, owner, i.offset, total}
		}
		total = page.Total
		kept += page.Kept
		if page.Next == 0 {
			_, err := fmt.Fprintf(i.env.stdout, "%s: %s listed, %s new or changed\n", owner, plural(page.Total, "customer"), plural(kept, "grant"))
			return err
		}
		i.offset = page.Next
		fmt.Fprintf(i.env.stderr, "%d of %d\n", page.Next, page.Total)
	}
}

// page brings in the page at i.offset.
func (i *importer) page(cmd *cobra.Command, owner string) (page clientlib.ImportPage, err error) {
	err = i.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
		page, err = c.Import(ctx, owner, i.offset)
		return err
	})
	if err == nil && page.Next != 0 && page.Next <= i.offset {
		err = errors.New("the daemon goes round in circles") // and would for ever
	}
	return page, err
}

// importError is the end of an import before its time.
type importError struct {
	err    error
	owner  string
	offset int // of the page that could not be brought in
	total  int // customers there are; 0 where that is not known yet
}

func (e *importError) Error() string { return e.err.Error() }
func (e *importError) Unwrap() error { return e.err }

// importPage is how many customers a page has.
const importPage = 500

// hint is "" where nothing has been brought in that need not be again.
func (e *importError) hint() string {
	if e.offset == 0 {
		return ""
	}
	if e.total > 0 && e.offset+importPage >= e.total {
		// The last page is where missing customers are noticed: they may be on any.
		return fmt.Sprintf("all earlier pages were imported; to retry: tokend import %s", e.owner)
	}
	return fmt.Sprintf("to go on from there: tokend import %s --offset %d", e.owner, e.offset)
}
